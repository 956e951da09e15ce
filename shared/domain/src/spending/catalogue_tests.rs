//! What a catalogue must not be, and which price counts when.

use super::*;

type Change = Box<dyn FnOnce(&mut serde_json::Value)>;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first shipped model with some of its fields changed.
fn altered(change: impl FnOnce(&mut serde_json::Value)) -> Result<Catalogue, ParseCatalogueError> {
    let mut file: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
    file["models"].as_array_mut().unwrap().truncate(1);
    change(&mut file["models"][0]);
    Catalogue::parse(&file.to_string())
}

#[test]
fn the_shipped_catalogue_is_sound_and_has_a_model_of_each_grade() {
    let catalogue = Catalogue::shipped().unwrap();
    for provider in [Provider::Gemini, Provider::Groq] {
        for grade in [Grade::Usual, Grade::Cheaper] {
            let defaults: Vec<&Model> =
                catalogue.models().iter().filter(|m| m.is_default && (m.provider, m.grade) == (provider, grade)).collect();
            assert_eq!(defaults.len(), 1, "{provider:?} {grade:?}");
            assert_eq!(catalogue.default_model(provider, grade), Some(defaults[0]));
        }
    }
}

#[test]
fn the_price_that_counts_is_the_one_in_force() {
    let catalogue = Catalogue::shipped().unwrap();
    let model = catalogue.find(Provider::Gemini, "gemini-3.8-flash").unwrap();
    let input = |now: &str| model.price_at(at(now)).map(|price| price.input.micros());
    assert_eq!(input("2026-09-01T23:59:59Z"), None);
    assert_eq!(input("2026-09-02T00:00:00Z"), Some(750_000));
    assert_eq!(input("2026-12-31T23:59:59Z"), Some(750_000));
    assert_eq!(input("2027-01-01T00:00:00Z"), Some(1_500_000));
    let price = model.price_at(at("2027-02-01T00:00:00Z")).unwrap();
    assert_eq!(model.price_version(price), "gemini-3.8-flash@2027-01-01");
    // 3,000 sent and 500 received: the sense-check that the plan was made with.
    let usage = TokenUsage { input: 3_000, output: 500, ..TokenUsage::default() };
    assert_eq!(model.cost(&usage, at("2026-11-01T00:00:00Z")), Some(MicroDollars::new(4_125)));
    assert_eq!(model.cost(&usage, at("2027-11-01T00:00:00Z")), Some(MicroDollars::new(8_250)));
}

#[test]
fn a_model_is_gone_on_the_day_it_retires() {
    let catalogue = altered(|model| model["retires"] = "2026-12-01".into());
    // Its second price begins after that day.
    assert!(matches!(catalogue, Err(ParseCatalogueError::Value { what: "a price after the end", .. })));
    let catalogue = altered(|model| model["retires"] = "2027-03-01".into()).unwrap();
    let model = &catalogue.models()[0];
    assert!(model.price_at(at("2027-02-28T23:59:59Z")).is_some());
    assert_eq!(model.price_at(at("2027-03-01T00:00:00Z")), None);
    assert_eq!(model.days_left(at("2027-02-01T12:00:00Z")), Some(28));
    assert_eq!(model.days_left(at("2027-03-02T00:00:00Z")), Some(-1));
}

#[test]
fn what_cannot_be_right_is_not_read() {
    let twice = |model: &mut serde_json::Value| {
        let price = model["prices"][0].clone();
        model["prices"].as_array_mut().unwrap().push(price);
    };
    let wrong: [(&str, Change); 9] = [
        ("an id is 1 to 128 letters, digits and -_./:", Box::new(|m| m["id"] = "a model".into())),
        ("a model answers one token at least", Box::new(|m| m["output_tokens_max"] = 0.into())),
        ("the answer has to fit into the context", Box::new(|m| m["context_tokens"] = 1_000.into())),
        ("say where this was read", Box::new(|m| m["source"] = " ".into())),
        ("there is no price", Box::new(|m| m["prices"] = serde_json::json!([]))),
        ("two prices from the same day", Box::new(twice)),
        ("a price is dollars for a million tokens, such as \"0.75\"", Box::new(|m| m["prices"][0]["input"] = "-0.75".into())),
        ("a price over $1,000 for a million tokens", Box::new(|m| m["prices"][0]["output"] = "3750".into())),
        ("cached tokens cost more than others", Box::new(|m| m["prices"][0]["cached_input"] = "7.5".into())),
    ];
    for (expected, change) in wrong {
        match altered(change) {
            Err(ParseCatalogueError::Value { what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    for change in ["colour", "Baa"] {
        let shape = altered(|model| model[change] = true.into());
        assert!(matches!(shape, Err(ParseCatalogueError::Shape { .. })), "{change}");
    }
}

#[test]
fn an_operators_model_comes_instead_of_ours() {
    let theirs = altered(|model| model["baa"] = true.into()).unwrap();
    let both = Catalogue::shipped().unwrap().with(theirs);
    assert!(both.find(Provider::Gemini, "gemini-3.8-flash").unwrap().baa);
    assert_eq!(both.models().len(), Catalogue::shipped().unwrap().models().len());
}

#[test]
fn a_bound_asks_no_more_than_the_model_gives() {
    let catalogue = altered(|_| ()).unwrap();
    let model = &catalogue.models()[0];
    let now = at("2026-11-01T00:00:00Z");
    assert_eq!(model.at_most(0, u32::MAX, now), model.at_most(0, model.output_tokens_max, now));
    assert_eq!(model.at_most(1_000_000, 0, now), Some(MicroDollars::new(750_000)));
    assert_eq!(model.least_thinking(), Some(ThinkingLevel::Low));
}
