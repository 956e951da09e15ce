//! The words by which places are known. Kept as dense lists: one word a line would be eight pages.

/// What a street ends in.
#[rustfmt::skip]
pub const STREETS: &[&str] = &[
    "street", "st", "avenue", "ave", "av", "road", "rd", "drive", "dr", "lane", "ln", "boulevard", "blvd", "court", "ct", "circle", "cir", "place", "pl", "way", "terrace", "ter", "parkway", "pkwy", "highway", "hwy",
    "square", "sq", "trail", "trl", "loop", "alley", "aly", "crescent", "cres", "close", "row", "walk", "turnpike", "tpke", "pike", "plaza", "plz", "crossing", "xing", "run", "ridge", "heights", "hts", "expressway", "freeway", "route",
    "path", "bend", "cove", "cv", "point", "pt", "landing", "commons", "green", "mews", "broadway", "gardens", "grove", "hill", "hollow", "manor", "meadow", "meadows", "pass", "view", "vista", "creek", "glen", "esplanade", "causeway",
];

/// What stands before the number of a flat.
#[rustfmt::skip]
pub const UNITS: &[&str] = &["apt", "apartment", "unit", "suite", "ste", "floor", "fl", "room", "rm", "bldg", "building", "lot", "#", "box", "no", "trlr"];

/// Postal codes of the states.
#[rustfmt::skip]
pub const STATES: &[&str] = &[
    "al", "ak", "az", "ar", "ca", "co", "ct", "de", "fl", "ga", "hi", "id", "il", "in", "ia", "ks", "ky", "la", "me", "md", "ma", "mi", "mn", "ms", "mo", "mt", "ne", "nv", "nh", "nj", "nm", "ny", "nc", "nd", "oh", "ok", "or", "pa", "ri",
    "sc", "sd", "tn", "tx", "ut", "vt", "va", "wa", "wv", "wi", "wy", "dc", "pr",
];

/// Words that end the name of a facility.
#[rustfmt::skip]
pub const FACILITIES: &[&str] = &[
    "hospital", "hospitals", "clinic", "clinics", "pharmacy", "pharmacies", "infirmary", "sanatorium", "hospice", "dermatology", "cardiology", "orthopedics", "orthopaedics", "pediatrics", "paediatrics", "oncology", "radiology", "urology",
    "neurology", "gastroenterology", "nephrology", "pulmonology", "ophthalmology", "endocrinology", "rheumatology", "psychiatry", "obgyn", "ob-gyn", "gynecology", "imaging", "rehab", "rehabilitation", "dialysis", "dental", "dentistry", "laboratory",
    "laboratories", "labs", "healthcare", "health", "polyclinic", "surgicenter", "hospitalists", "optometry", "chiropractic", "drugs", "drugstore", "apothecary", "maternity", "wellness",
];

/// Two or more words that end one.
#[rustfmt::skip]
pub const PHRASES: &[&[&str]] = &[
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
#[rustfmt::skip]
pub const WEAK: &[&str] = &["general", "memorial", "regional", "manor", "lodge", "village", "gardens", "pavilion", "institute", "center", "centre", "associates", "university", "mercy", "baptist", "methodist", "presbyterian", "lutheran", "deaconess"];

/// What stands before a place.
#[rustfmt::skip]
pub const PREPOSITIONS: &[&str] = &["in", "from", "at", "near", "of", "to", "outside", "around", "via", "visiting", "leaving", "toward", "through", "lives", "resides", "moved", "town", "city", "hometown", "address", "city:", "born"];

/// Words in front of "hospital" or "clinic" that name none.
#[rustfmt::skip]
pub const GENERIC: &[&str] = &[
    "hospital", "clinic", "general", "local", "community", "regional", "university", "teaching", "public", "private", "rural", "urban", "outpatient", "inpatient", "medical", "surgical", "dental", "eye", "heart", "cancer", "women", "children", "home", "primary", "urgent", "family", "internal", "pain", "sleep", "wound", "mental", "behavioral", "public health", "world", "national", "american", "global", "bone", "oral", "sexual", "women's", "digestive", "physical", "occupational", "cardiac", "pulmonary", "speech", "skilled", "nursing", "assisted", "senior", "care", "retail", "specialty", "department", "emergency", "diagnostic", "methadone", "travel", "anticoagulation", "the", "your", "our", "good", "poor", "overall", "gi", "reproductive", "institutes", "human", "federal", "state",
];

/// Words that may begin a sentence in front of a name and are no part of it.
#[rustfmt::skip]
pub const LEADS: &[&str] = &[
    "seen", "called", "admitted", "patient", "pt", "per", "our", "your", "transferred", "sent", "referring", "facility", "location", "visit", "please", "call", "does", "is", "was", "has", "records", "discharged", "to", "via", "for", "with", "my", "ask", "can", "did",
];
