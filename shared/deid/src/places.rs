//! Places smaller than a state: streets, towns, post boxes; and facilities, whose name gives the place away.
//! Postal codes are the recognisers' (`recognisers/codes.rs`): they are numbers.

use crate::label::Label;
use crate::lexicon::Lexicon;
use crate::recognisers::{Finds, KEYED, SHAPED};
use crate::tokens::{Shape, Token};

const STREETS: &[&str] = &[
    "street", "st", "avenue", "ave", "av", "road", "rd", "drive", "dr", "lane", "ln", "boulevard", "blvd", "court", "ct", "circle", "cir", "place", "pl", "way", "terrace", "ter", "parkway", "pkwy", "highway", "hwy",
    "square", "sq", "trail", "trl", "loop", "alley", "aly", "crescent", "cres", "close", "row", "walk", "turnpike", "tpke", "pike", "plaza", "plz", "crossing", "xing", "run", "ridge", "heights", "hts", "expressway", "freeway", "route",
    "path", "bend", "cove", "cv", "point", "pt", "landing", "commons", "green", "mews", "broadway", "gardens", "grove", "hill", "hollow", "manor", "meadow", "meadows", "pass", "view", "vista", "creek", "glen", "esplanade", "causeway",
];

const UNITS: &[&str] = &["apt", "apartment", "unit", "suite", "ste", "floor", "fl", "room", "rm", "bldg", "building", "lot", "#", "box", "no", "trlr"];

const STATES: &[&str] = &[
    "al", "ak", "az", "ar", "ca", "co", "ct", "de", "fl", "ga", "hi", "id", "il", "in", "ia", "ks", "ky", "la", "me", "md", "ma", "mi", "mn", "ms", "mo", "mt", "ne", "nv", "nh", "nj", "nm", "ny", "nc", "nd", "oh", "ok", "or", "pa", "ri",
    "sc", "sd", "tn", "tx", "ut", "vt", "va", "wa", "wv", "wi", "wy", "dc", "pr",
];

/// Words that end the name of a facility.
const FACILITIES: &[&str] = &[
    "hospital", "hospitals", "clinic", "clinics", "pharmacy", "pharmacies", "infirmary", "sanatorium", "hospice", "dermatology", "cardiology", "orthopedics", "orthopaedics", "pediatrics", "paediatrics", "oncology", "radiology", "urology",
    "neurology", "gastroenterology", "nephrology", "pulmonology", "ophthalmology", "endocrinology", "rheumatology", "psychiatry", "obgyn", "ob-gyn", "gynecology", "imaging", "rehab", "rehabilitation", "dialysis", "dental", "dentistry", "laboratory",
    "laboratories", "labs", "healthcare", "health", "polyclinic", "surgicenter", "hospitalists", "optometry", "chiropractic", "drugs", "drugstore", "apothecary", "maternity", "wellness",
];

/// Two or more words that end one.
const PHRASES: &[&[&str]] = &[
    &["medical", "center"], &["medical", "centre"], &["health", "center"], &["health", "centre"], &["medical", "group"], &["medical", "associates"], &["family", "medicine"], &["family", "practice"], &["family", "health"], &["family", "care"],
    &["internal", "medicine"], &["primary", "care"], &["urgent", "care"], &["senior", "living"], &["assisted", "living"], &["nursing", "home"], &["nursing", "center"], &["nursing", "facility"], &["care", "center"], &["care", "home"], &["care", "centre"],
    &["surgery", "center"], &["surgical", "center"], &["surgical", "associates"], &["cancer", "center"], &["cancer", "institute"], &["heart", "institute"], &["heart", "center"], &["eye", "center"], &["eye", "institute"], &["eye", "associates"],
    &["birth", "center"], &["birthing", "center"], &["womens", "health"], &["women", "'s", "health"], &["women", "'s", "center"], &["women", "'s", "hospital"], &["children", "'s", "hospital"], &["childrens", "hospital"], &["physical", "therapy"], &["retirement", "community"],
    &["retirement", "home"], &["retirement", "village"], &["memory", "care"], &["skilled", "nursing"], &["rehab", "center"], &["rehabilitation", "center"], &["rehabilitation", "hospital"], &["dialysis", "center"], &["pain", "clinic"], &["sleep", "center"], &["wound", "center"],
    &["behavioral", "health"], &["mental", "health"], &["recovery", "center"], &["treatment", "center"], &["health", "system"], &["health", "services"], &["health", "department"], &["healthcare", "system"], &["medical", "clinic"], &["medical", "office"], &["medical", "practice"],
    &["physicians", "group"], &["medical", "plaza"], &["medical", "park"], &["imaging", "center"], &["blood", "center"], &["trauma", "center"], &["specialty", "center"], &["spine", "center"], &["pain", "center"], &["pain", "management"], &["adult", "day"], &["home", "health"],
    &["va", "medical", "center"], &["veterans", "hospital"], &["specialty", "clinic"], &["burn", "center"], &["transplant", "center"], &["diagnostic", "center"], &["diagnostics"], &["orthopedic", "associates"], &["cardiology", "associates"], &["heart", "associates"],
    &["dermatology", "associates"], &["ent", "associates"], &["convalescent", "home"], &["convalescent", "center"], &["group", "home"], &["hospice", "house"], &["manor", "care"], &["day", "surgery"], &["community", "health"], &["care", "clinic"], &["elder", "care"], &["living", "center"],
];

/// Words that end one only after "at", "from" or a saint: "St. Mary's", "Mercy General", "Oakwood Manor".
const WEAK: &[&str] = &["general", "memorial", "regional", "manor", "lodge", "village", "gardens", "pavilion", "institute", "center", "centre", "associates", "university", "mercy", "baptist", "methodist", "presbyterian", "lutheran", "deaconess"];

/// What stands before a place.
const PREPOSITIONS: &[&str] = &["in", "from", "at", "near", "of", "to", "outside", "around", "via", "visiting", "leaving", "toward", "through", "lives", "resides", "moved", "town", "city", "hometown", "address", "city:", "born"];

/// Searches a text.
pub fn find(text: &str, tokens: &[Token], lexicon: &Lexicon, finds: &mut Finds) {
    let scene = Scene { text, tokens, lexicon };
    for at in 0..tokens.len() {
        scene.street(at, finds);
        scene.post_box(at, finds);
        scene.facility(at, finds);
        if tokens[at].is_word() && tokens[at].is_capital() {
            scene.town(at, finds);
        }
    }
}

struct Scene<'a> {
    text: &'a str,
    tokens: &'a [Token],
    lexicon: &'a Lexicon,
}

impl Scene<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| if token.is_word() { &token.folded } else { token.text(self.text) })
    }

    /// Nothing but spaces between two neighbours.
    fn is_near(&self, at: usize) -> bool {
        at > 0 && at < self.tokens.len() && {
            let gap = &self.text[self.tokens[at - 1].end..self.tokens[at].start];
            gap.len() <= 2 && !gap.contains('\n')
        }
    }

    /// `14496 N Oak Road, Apt 2C`
    fn street(&self, at: usize, finds: &mut Finds) {
        let number = &self.tokens[at];
        let digits = number.text(self.text).bytes().filter(u8::is_ascii_digit).count();
        let is_number = number.shape == Shape::Number && (1..=6).contains(&digits) && number.end - number.start <= digits + 1;
        let is_bare = at == 0 || !matches!(self.tokens[at - 1].text(self.text), "." | "/" | "-" | "$" | "#") || self.tokens[at].is_spaced;
        if !is_number || !is_bare {
            return;
        }
        let is_lower = !self.tokens.get(at + 1).is_some_and(Token::is_capital);
        for count in 1..=7 {
            let next = at + count;
            if count > 5 && !self.tokens.get(next).is_some_and(Token::is_capital) {
                return;
            }
            if !self.is_near(next) || self.tokens[next].shape == Shape::Mark && self.word(next) != "." {
                return;
            }
            if count == 1 || !STREETS.contains(&self.word(next)) {
                let is_numbered = self.tokens[next].shape == Shape::Number && (count > 3 || !self.word(next).ends_with(['t', 'd', 'h']));
                // A unit after the number makes it a quantity; so does a long run of common words.
                if is_numbered || self.tokens[next].shape == Shape::Lower && (!is_lower || count > 3 || self.tokens[next].entry.lower() > 6 || matches!(self.word(next), "mg" | "ml" | "year" | "years" | "yo" | "yr" | "weeks" | "days" | "day" | "week" | "month" | "months")) {
                    return;
                }
                continue;
            }
            // In lower case only suffixes that are nothing else count.
            let suffix = &self.tokens[next];
            if suffix.shape == Shape::Lower && !matches!(self.word(next), "street" | "avenue" | "ave" | "road" | "rd" | "lane" | "ln" | "boulevard" | "blvd" | "drive" | "st" | "highway" | "hwy" | "terrace" | "parkway" | "pkwy" | "circle") {
                return;
            }
            // "10 Oak Hill Road": a longer street goes on.
            let mut end = next;
            while self.is_near(end + 1) && STREETS.contains(&self.word(end + 1)) && self.tokens[end + 1].is_capital() && !(self.word(end + 1) == "dr" && self.word(end + 2) == ".") {
                end += 1;
            }
            if matches!(self.word(end), "highway" | "hwy" | "route") && self.is_near(end + 1) && self.tokens[end + 1].shape == Shape::Number {
                end += 1;
            }
            if self.word(end + 1) == "." && self.is_near(end + 1) && matches!(self.word(end), "st" | "ave" | "rd" | "dr" | "ln" | "blvd" | "ct" | "hwy" | "pl") {
                end += 1;
            }
            if self.is_near(end + 1) && self.tokens[end + 1].is_capital() && matches!(self.word(end + 1), "n" | "s" | "e" | "w" | "ne" | "nw" | "se" | "sw") {
                end += 1;
            }
            end = self.unit(end);
            let end = self.tokens[end].text(self.text).trim_end_matches('.').len() + self.tokens[end].start;
            finds.add(number.start..end, Label::Location, KEYED + 4);
            return;
        }
    }

    /// `, Apt 2C` behind a street.
    fn unit(&self, end: usize) -> usize {
        let mut at = end + 1;
        at += usize::from(self.word(at) == ",");
        if at >= self.tokens.len() || !UNITS.contains(&self.word(at)) || !self.is_near(at) {
            return end;
        }
        at += 1;
        at += usize::from(matches!(self.word(at), "." | "#"));
        if !self.is_near(at) && self.word(at - 1) != "#" || at >= self.tokens.len() {
            return end;
        }
        match self.tokens[at].shape {
            Shape::Number => at,
            Shape::Initial => at + usize::from(self.tokens.get(at + 1).is_some_and(|next| next.shape == Shape::Number && !next.is_spaced)),
            _ => end,
        }
    }

    /// `P.O. Box 5307`
    fn post_box(&self, at: usize, finds: &mut Finds) {
        let end = at + 1;
        if self.word(at) != "box" || !self.is_near(end) || self.tokens[end].shape != Shape::Number {
            return;
        }
        let before = self.text[..self.tokens[at].start].trim_end();
        let tail: String = before.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<String>().to_lowercase();
        let length = ["post office", "p. o.", "p.o.", "p o", "po", "pmb"].iter().find(|key| tail.ends_with(*key)).map(|key| key.len());
        if let Some(length) = length.filter(|length| before.is_char_boundary(before.len().saturating_sub(*length))) {
            finds.add(before.len() - length..self.tokens[end].end, Label::Location, KEYED + 4);
        }
    }

    /// A town after a preposition, before a state, or after a street.
    fn town(&self, at: usize, finds: &mut Finds) {
        let (mut best, mut key) = (None, String::new());
        let mut end = at;
        while end < self.tokens.len() && end < at + 4 && (end == at || self.is_near(end)) {
            let token = &self.tokens[end];
            if token.text(self.text) == "." && end > at && self.tokens[end - 1].end - self.tokens[end - 1].start <= 2 {
                end += 1;
                continue;
            }
            if !token.is_word() || !(token.is_capital() || matches!(&*token.folded, "of" | "the" | "du" | "de" | "la")) {
                break;
            }
            if !key.is_empty() {
                key.push(' ');
            }
            key.extend(token.folded.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }));
            let entry = self.lexicon.get(key.trim());
            if (entry.is_town() || entry.is_city()) && token.is_capital() {
                best = Some((end, entry));
            }
            end += 1;
        }
        let Some((end, entry)) = best else { return self.unknown_town(at, finds) };
        if self.goes_on(at, end) {
            return;
        }
        let has_state = self.has_state(end);
        let before = at.checked_sub(1).map_or("", |before| self.word(before));
        let before2 = at.checked_sub(2).map_or("", |before| self.word(before));
        let is_led = PREPOSITIONS.contains(&before) && self.is_near(at) || before == ":" && matches!(before2, "city" | "town" | "address" | "hometown" | "residence");
        let is_after_place = before == "," && finds.0.iter().any(|find| find.label == Label::Location && find.range.end <= self.tokens[at].start && find.range.end + 3 >= self.tokens[at].start);
        let is_vague = entry.is_name() && end == at || self.tokens[at].entry.lower() >= 3 || entry.is_eponym() || self.tokens[at].entry.capital() > 2 && end == at && !entry.is_city();
        let is_strong = matches!(before, "in" | "near" | "outside" | "visiting") || before == "from" || matches!(before2, "lives" | "resides" | "living" | "moved" | "home" | "address");
        let is_region = entry.is_region() || matches!(key.trim(), "new york" | "washington") && !has_state;
        if is_region && !has_state {
            return;
        }
        let is_said = has_state || is_after_place || is_led && is_strong && !(is_vague && self.tokens[at].entry.lower() >= 4) || is_led && !is_vague && matches!(before, "at" | "to");
        let is_thing = crate::names::is_after_people(self.text, self.tokens, end + 1);
        if is_said && !is_thing && self.tokens[at].shape != Shape::Initial && !(self.tokens[at].shape == Shape::Upper && end == at && self.tokens[at].folded.len() < 4) {
            let weight = if has_state || is_after_place { KEYED + 2 } else { SHAPED };
            finds.add(self.tokens[at].start..self.tokens[end].end, Label::Location, weight);
        }
    }

    /// A word that no list has, before a state that a postal code or a comma proves.
    fn unknown_town(&self, at: usize, finds: &mut Finds) {
        let mut end = at;
        while self.is_near(end + 1) && self.tokens[end + 1].is_word() && self.tokens[end + 1].is_capital() && end < at + 2 && !STATES.contains(&self.word(end + 1)) {
            end += 1;
        }
        let is_start = at == 0 || !self.is_near(at) || !(self.tokens[at - 1].is_word() && self.tokens[at - 1].is_capital());
        let before = at.checked_sub(1).map_or("", |before| self.word(before));
        let is_led = matches!(before, "," | "in" | "from" | "near" | "to" | ":" | "of");
        let is_name_like = self.tokens[at].entry.lower() < 5 && self.tokens[at].shape != Shape::Initial;
        if is_start && is_led && is_name_like && self.word(end + 1) == "," && self.has_state(end) && !matches!(self.tokens[at].shape, Shape::Upper) {
            finds.add(self.tokens[at].start..self.tokens[end].end, Label::Location, SHAPED - 2);
        }
    }

    /// `, TX` behind a town, and not a degree or a title.
    fn has_state(&self, end: usize) -> bool {
        let mut at = end + 1;
        at += usize::from(self.word(at) == ",");
        let Some(token) = self.tokens.get(at).filter(|_| self.is_near(at)) else { return false };
        let is_code = token.shape == Shape::Upper && STATES.contains(&&*token.folded);
        let next_is_zip = self.tokens.get(at + 1).is_some_and(|next| next.shape == Shape::Number && next.end - next.start == 5);
        let is_degree = matches!(&*token.folded, "md" | "pa" | "do") && !next_is_zip && self.tokens[end].entry.last() > 0;
        let is_full = at > end + 1 && token.is_capital() && (token.entry.is_region() || self.lexicon.get(&format!("{} {}", token.folded, self.word(at + 1))).is_region());
        is_code && !is_degree && (at > end + 1 || next_is_zip) || is_full
    }

    /// Whether a capitalised word goes on behind, as in "Aurora Medical Center".
    fn goes_on(&self, at: usize, end: usize) -> bool {
        let next = self.tokens.get(end + 1).filter(|_| self.is_near(end + 1));
        let before = at.checked_sub(1).filter(|_| self.is_near(at)).map(|before| &self.tokens[before]);
        let is_part = |token: &Token| token.is_word() && matches!(token.shape, Shape::Capital | Shape::Mixed) && !token.is_first && !token.entry.is_region();
        next.is_some_and(is_part) || before.is_some_and(|token| is_part(token) && token.entry.lower() < 4)
    }

    /// `Kingsbrook Medical Center`, backwards from what ends it.
    fn facility(&self, at: usize, finds: &mut Finds) {
        let token = &self.tokens[at];
        if !token.is_word() || !token.is_capital() {
            return self.plain_facility(at, finds);
        }
        let phrase = PHRASES.iter().filter(|phrase| (0..phrase.len()).all(|part| self.word(at + part) == phrase[part] && (part == 0 || self.is_near(at + part)) && self.tokens.get(at + part).is_some_and(|t| t.is_capital() || t.text(self.text) == "'s")));
        let phrase = phrase.map(|phrase| phrase.len()).max();
        let is_weak = WEAK.contains(&&*token.folded);
        let Some(mut end) = phrase.map(|count| at + count - 1).or_else(|| (FACILITIES.contains(&&*token.folded) || is_weak).then_some(at)) else {
            return self.saint(at, finds);
        };
        let mut start = at;
        while start > 0 && self.is_near(start) && at - start < 5 {
            let before = &self.tokens[start - 1];
            let text = before.text(self.text);
            let is_word = before.is_word() && before.is_capital() && !matches!(&*before.folded, "the" | "in" | "at" | "from" | "dr" | "mr" | "mrs" | "ms") && !before.text(self.text).is_empty();
            let is_link = (text == "'s" || text == "." && !before.is_spaced || matches!(&*before.folded, "of" | "and" | "&")) && start > 1 && self.tokens[start - 2].is_capital();
            if !is_word && !is_link {
                break;
            }
            start -= 1;
        }
        const LEADS: &[&str] = &["seen", "called", "admitted", "patient", "pt", "per", "our", "your", "transferred", "sent", "referring", "facility", "location", "visit", "please", "call", "does", "is", "was", "has", "records", "discharged", "to", "via", "for", "with", "my", "ask", "can", "did"];
        while start < at && (matches!(self.word(start), "." | "'s" | "of" | "and") || self.tokens[start].is_first && LEADS.contains(&self.word(start))) {
            start += 1;
        }
        // "Health" alone, "Internal Medicine", "Physical Therapy" are no names.
        let is_named = (start..at).any(|index| self.tokens[index].is_word() && (self.tokens[index].entry.lower() < 6 || start + 1 < at) && !is_generic(&self.tokens[index].folded));
        let is_heading = self.word(end + 1) == ":" || self.tokens[start..=end].iter().all(|token| token.shape == Shape::Upper);
        if !is_named || is_heading && at.checked_sub(1).is_none_or(|_| self.word(end + 1) == ":") || self.is_after_title(start) {
            return;
        }
        let led = start.checked_sub(1).map_or("", |before| self.word(before));
        if is_weak && phrase.is_none() && !matches!(led, "at" | "from" | "to" | "@") && !self.has_saint(start, at) {
            return;
        }
        // "Riverside Hospital of Austin", "Mercy Medical Center North".
        if self.is_near(end + 1) && self.tokens[end + 1].is_capital() && (FACILITIES.contains(&self.word(end + 1)) || WEAK.contains(&self.word(end + 1)) || matches!(self.word(end + 1), "north" | "south" | "east" | "west" | "campus" | "group" | "network" | "partners" | "specialists" | "system")) {
            end += 1;
        }
        finds.add(self.tokens[start].start..self.tokens[end].end, Label::Facility, KEYED + 1);
    }

    /// In lower case only after "at" or "from": "at mercy general hospital".
    fn plain_facility(&self, at: usize, finds: &mut Finds) {
        if !matches!(self.word(at), "hospital" | "clinic" | "pharmacy" | "hospice") {
            return;
        }
        for count in 1..=3 {
            let Some(led) = at.checked_sub(count + 1) else { return };
            if !matches!(self.word(led), "at" | "from") {
                continue;
            }
            let words = &self.tokens[led + 1..at];
            let is_name = |token: &Token| token.is_word() && !is_generic(&token.folded) && !matches!(&*token.folded, "the" | "a" | "an" | "our" | "this" | "that" | "your" | "my" | "his" | "her" | "another" | "any" | "and" | "outside" | "same" | "local" | "or");
            let is_proper = words.iter().all(|token| is_name(token) || WEAK.contains(&&*token.folded)) && words.iter().any(|token| token.is_capital() || token.entry.is_town() && token.entry.lower() < 3 || matches!(&*token.folded, "st" | "saint" | "mercy"));
            if is_proper {
                finds.add(self.tokens[led + 1].start..self.tokens[at].end, Label::Facility, SHAPED);
            }
            return;
        }
    }

    /// `St. Mary's` after "at".
    fn saint(&self, at: usize, finds: &mut Finds) {
        if !matches!(self.word(at), "st" | "saint") || !matches!(at.checked_sub(1).map_or("", |before| self.word(before)), "at" | "from" | "to") {
            return;
        }
        let mut end = at + 1;
        end += usize::from(self.word(end) == ".");
        let is_saint = self.is_near(end) && self.tokens[end].is_capital() && matches!(self.word(end + 1), "'s" | "'");
        if is_saint {
            finds.add(self.tokens[at].start..self.tokens[end + 1].end, Label::Facility, SHAPED);
        }
    }

    fn has_saint(&self, start: usize, end: usize) -> bool {
        (start..end).any(|at| matches!(self.word(at), "st" | "saint" | "mt" | "mount" | "'s"))
    }

    fn is_after_title(&self, start: usize) -> bool {
        let before = |back: usize| start.checked_sub(back).map_or("", |at| self.word(at));
        matches!(before(1), "dr" | "mr" | "mrs" | "ms") || before(1) == "." && matches!(before(2), "dr" | "mr" | "mrs" | "ms")
    }
}

/// Words in front of "hospital" or "clinic" that name none.
fn is_generic(word: &str) -> bool {
    matches!(
        word,
        "general" | "local" | "community" | "regional" | "university" | "teaching" | "public" | "private" | "rural" | "urban" | "outpatient" | "inpatient" | "medical" | "surgical" | "dental" | "eye" | "heart" | "cancer" | "women" | "children"
            | "home" | "primary" | "urgent" | "family" | "internal" | "pain" | "sleep" | "wound" | "mental" | "behavioral" | "public health" | "world" | "national" | "american" | "global" | "bone" | "oral" | "sexual" | "women's" | "digestive"
            | "physical" | "occupational" | "cardiac" | "pulmonary" | "speech" | "skilled" | "nursing" | "assisted" | "senior" | "care" | "retail" | "specialty" | "department" | "emergency" | "diagnostic" | "methadone" | "travel" | "anticoagulation" | "the" | "your" | "our" | "good" | "poor" | "overall" | "gi" | "reproductive" | "institutes" | "human" | "federal" | "state"
    )
}
