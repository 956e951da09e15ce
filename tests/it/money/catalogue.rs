//! The shipped catalogue against the calendar.

use domain::spending::Catalogue;
use jiff::Timestamp;

/// How long it takes to choose another model, to try it and to roll it out.
const NOTICE_DAYS: i32 = 30;

#[test]
fn no_default_model_retires_within_thirty_days() {
    let catalogue = Catalogue::shipped().expect("the shipped catalogue");
    let now = Timestamp::now();
    for model in catalogue.models().iter().filter(|model| model.is_default) {
        assert!(model.price_at(now).is_some(), "{} cannot be called today", model.id);
        let left = model.days_left(now);
        assert!(left.is_none_or(|days| days > NOTICE_DAYS), "{} retires in {left:?} days: choose another default", model.id);
    }
}
