//! The de-identifier as a whole, on the real tables: what must be found, what must stay, what must come back.

use deid::surrogate::{Conversation, Policy, Restorer};
use deid::{Deidentifier, Label, OperatingPoint, TABLES_FILE};
use domain::phi::CountIdentifiers as _;
use domain::phi::IdentifierKind;
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

static DEID: LazyLock<Deidentifier> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(TABLES_FILE);
    Deidentifier::load(&path).expect("`python3 models/fetch_deid.py` makes the tables")
});

/// What is found in a text whose identifiers are marked `<LABEL text>`.
fn check(marked: &str) {
    let (mut text, mut expected) = (String::new(), Vec::new());
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once('<') {
        let (inside, after) = after.split_once('>').expect("a closed mark");
        let (label, identifier) = inside.split_once(' ').expect("a label");
        text.push_str(before);
        expected.push((label.to_owned(), text.len()..text.len() + identifier.len()));
        text.push_str(identifier);
        rest = after;
    }
    text.push_str(rest);
    let found: Vec<_> =
        DEID.find(&text, OperatingPoint::Strict).into_iter().map(|span| (span.label.as_str().to_owned(), span.range)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn identifiers_of_every_kind_are_found_where_they_stand() {
    for marked in [
        "Does <NAME Oksana>'s allergy to penicillin matter?",
        "can i give ketorolac to <NAME tom okafor>, dob <DATE 3/4/1961>",
        "Chart of <NAME DUBOIS, HELENE>, MRN <MRN 0048-2213>, seen <DATE 12-Feb-2020>",
        "She is <AGE_OVER_89 94> years old and lives at <LOCATION 12 Oak Hill Road, Apt 4B>, <LOCATION Dayton>, OH <LOCATION 45402>.",
        "Call <PHONE (555) 201-3345 x12> or write to <EMAIL j.roe+appt@example.org>",
        "SSN <SSN 219-09-9999>, member ID <HEALTH_PLAN W448812345>, account <ACCOUNT 5512-8831-04>",
        "NPI <LICENSE 1234567893> and serial number <DEVICE PMX-5521338>",
        "VIN <VEHICLE 1HGCM82633A004352> from <IP 10.24.8.113>",
        "She was transferred from <FACILITY Birch Hollow Medical Center> on <DATE June 3, 2021>",
        "accession <OTHER_ID S24-11873> is still open",
    ] {
        check(marked);
    }
}

#[test]
fn medicine_is_left_alone() {
    for text in [
        "Does a positive Murphy's sign rule in cholecystitis?",
        "Wells score versus Geneva score in a 72-year-old on Xarelto 20 mg, BP 128/72, EF 35%",
        "Grade 3/6 systolic murmur, strength 5/5, A1c 9.5%, ICD-10 G51.0, CPT 99214",
        "Kaplan-Meier curves of the SPRINT trial, 2017 ACC/AHA guideline",
        "Parkinson's disease, Guillain-Barre syndrome and Dix-Hallpike test",
        "",
        "...",
        "1",
    ] {
        assert_eq!(DEID.find(text, OperatingPoint::Strict), [], "{text}");
    }
}

#[test]
fn what_looks_alike_is_found_and_cut_where_it_stands() {
    check("write to <EMAIL j\u{430}ne.roe@example.org> now");
    check("card <ACCOUNT 4111\u{200d}1111\u{200d}1111\u{200d}1111> is hers");
    check("SSN <SSN ２１９-０９-９９９９>");
    check("Is <NAME Zoe\u{301} Lefe\u{300}vre> due for a mammogram?");
}

fn pseudonymise(text: &str, conversation: &mut Conversation) -> String {
    DEID.pseudonymise(text, &Policy::default(), conversation).expect("nothing is blocked").text.as_str().to_owned()
}

#[test]
fn a_person_keeps_one_number_through_a_conversation_and_every_spelling_comes_back() {
    let mut conversation = Conversation::new(b"");
    let first = pseudonymise("My patient Helene Dubois takes warfarin.", &mut conversation);
    assert_eq!(first, "My patient [NAME_1] takes warfarin.");
    let second = pseudonymise("Does Helene need heparin?", &mut conversation);
    assert_eq!(second, "Does [NAME_1b] need heparin?");
    let answer = conversation.restore("**[Name_1]**'s INR; tell \\[NAME\\_1b\\], not [NAME_9] or [MRN_1].");
    assert_eq!(answer.text, "**Helene Dubois**'s INR; tell Helene, not [NAME_9] or [MRN_1].");
    assert_eq!(answer.unknown, 2);
}

#[test]
fn distances_between_dates_survive() {
    let mut conversation = Conversation::new(b"");
    let text = "Admitted on 2021-03-01, discharged on March 15, 2021, born 02/28/1961.";
    let safe = pseudonymise(text, &mut conversation);
    assert_eq!(safe, "Admitted on [DATE_1], discharged on [DATE_2: DATE_1+14d], born [DATE_3: DATE_1-21916d].");
    assert_eq!(conversation.restore(&safe).text, text);
}

#[test]
fn what_was_found_goes_whole_wherever_something_in_it_looks_like_a_placeholder() {
    for identifier in [
        "https://portal.example.org/charts/ottoline.brackwater?mrn=8847120",
        "ottoline.brackwater@example.org",
        "(555) 201-3345",
        "0048-2213",
        "Helene Dubois",
    ] {
        for at in 0..=identifier.len() {
            let text = format!("My patient, MRN {}[NAME_1]{}, is in.", &identifier[..at], &identifier[at..]);
            let mut conversation = Conversation::new(b"");
            let found = DEID.pseudonymise(&text, &Policy::default(), &mut conversation).expect("nothing is blocked");
            for span in &found.spans {
                for piece in text[span.range.clone()].split("[NAME_1]").filter(|piece| piece.len() > 3) {
                    assert!(!found.text.as_str().contains(piece), "{text}: {}", found.text.as_str());
                }
            }
            assert_eq!(conversation.restore(found.text.as_str()).text, text);
        }
    }
}

#[test]
fn placeholders_of_two_tenants_differ_and_a_foreign_one_is_not_restored() {
    let (mut one, mut two) = (Conversation::new(b"tenant one"), Conversation::new(b"tenant two"));
    let text = "Summarize the last visit for MRN 65094386";
    let (safe_one, safe_two) = (pseudonymise(text, &mut one), pseudonymise(text, &mut two));
    assert_ne!(safe_one, safe_two);
    let restored = two.restore(&safe_one);
    assert_eq!((restored.text.as_str(), restored.unknown), (safe_one.as_str(), 1));
}

#[test]
fn what_already_looks_like_a_placeholder_is_escaped() {
    let text = "My patient Helene Dubois takes [NAME_1], [name 1] and [[DATE_2: DATE_1+14d]]";
    let mut conversation = Conversation::new(b"");
    let safe = pseudonymise(text, &mut conversation);
    assert_eq!(safe, "My patient [NAME_1] takes [LITERAL_1], [LITERAL_2] and [[LITERAL_3]]");
    assert_eq!(conversation.restore(&safe).text, text);
}

#[test]
fn a_conversation_survives_its_storage_and_shows_nothing_of_itself() {
    let mut conversation = Conversation::new(b"tenant");
    let text = "Call Helene Dubois, MRN 65094386, on 3/4/2021";
    let safe = pseudonymise(text, &mut conversation);
    let stored = serde_json::to_string(&conversation).expect("it serialises");
    let mut read: Conversation = serde_json::from_str(&stored).expect("it deserialises");
    assert!(read == conversation);
    assert_eq!(read.restore(&safe).text, text);
    assert_eq!(pseudonymise(text, &mut read), safe, "numbering goes on where it was");
    assert!(!format!("{conversation:?}").contains("Helene"));
}

#[test]
fn a_seeded_name_is_known_and_a_blocked_kind_stays_in() {
    let mut conversation = Conversation::new(b"");
    conversation.seed("Quillon Vantreight");
    assert_eq!(pseudonymise("so when can Vantreight go home", &mut conversation), "so when can [NAME_1] go home");
    let policy = Policy { blocked: [IdentifierKind::SocialSecurityNumber].into(), ..Policy::default() };
    let withheld = "Patient Ottoline Brackwater, SSN 219-09-9999";
    let refusal = DEID.pseudonymise(withheld, &policy, &mut conversation).expect_err("it is blocked");
    assert_eq!(refusal.kinds, [(IdentifierKind::SocialSecurityNumber, 1)].into());
    assert!(!format!("{refusal:?}").contains("219"));
    // What stays in still teaches.
    assert_eq!(pseudonymise("Brackwater may go home", &mut conversation).find("Brackwater"), None);
}

#[test]
fn kinds_are_counted_by_the_names_of_the_law() {
    let counts = DEID.count("Helene Dubois, fax (555) 201-3345, tel (555) 201-3346, SSN 219-09-9999");
    for kind in [IdentifierKind::Name, IdentifierKind::Fax, IdentifierKind::Phone, IdentifierKind::SocialSecurityNumber] {
        assert_eq!(counts.get(&kind), Some(&1), "{kind:?}");
    }
}

#[test]
fn a_megabyte_in_one_line_is_done() {
    let text = "Helene Dubois, MRN 65094386, saw Dr. Okafor on 3/4/2021 at Mercy Hospital. ".repeat(14_000);
    let mut conversation = Conversation::new(b"");
    let safe = pseudonymise(&text, &mut conversation);
    assert!(text.len() > 1_000_000 && !safe.contains("Dubois") && !safe.contains("65094386"));
    assert!(conversation.restore(&safe).text == text);
}

#[test]
fn the_labels_cover_the_kinds_that_a_text_can_hold() {
    let covered: std::collections::BTreeSet<_> = Label::ALL.iter().map(|label| label.kind()).collect();
    assert_eq!(covered.len(), 16, "all of the eighteen but biometric identifiers and photographs");
}

/// Text of everything that identifiers, placeholders and scripts are made of.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => proptest::sample::select(vec![
            "John", "SMITH", "García-López", "Dr. ", "MRN ", "DOB ", "123-45-6789", "2021-03-14", "3/4", "a@b.co", "http://x", "1.2.3.4", "PID|1||7^^", "[NAME_1]", "[", "]", "\\", "[DATE_2: DATE_1+14d]", "_1", "*", "\n", " ",
            "\u{200d}", "\u{301}", "ﬁ", "１２", "жена", "аpple", "🙂", "ß", "İ", "zip 12345", "12 Oak St", ", TX 75001", "'s", "’s", "(96)", "99-year-old", ".", ",", "-", "12", "the patient",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "\\PC{0,12}",
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_are_in_order_on_characters_and_every_text_comes_back_however_the_stream_is_cut(text in hostile(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let spans = DEID.find(&text, OperatingPoint::Auto);
        let mut from = 0;
        for span in &spans {
            prop_assert!(span.range.start >= from && !span.range.is_empty() && text.get(span.range.clone()).is_some());
            from = span.range.end;
        }
        let mut conversation = Conversation::new(b"");
        let safe = pseudonymise(&text, &mut conversation);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(safe.len() + 1)).filter(|at| safe.is_char_boundary(*at)).collect();
        places.extend([0, safe.len()]);
        places.sort_unstable();
        let mut restorer = Restorer::new(&conversation);
        let mut restored: String = places.windows(2).map(|pair| restorer.push(&safe[pair[0]..pair[1]])).collect();
        restored.push_str(&restorer.finish());
        prop_assert_eq!(restorer.unknown(), 0);
        prop_assert_eq!(restored, text);
    }
}
