//! What a found identifier is: the de-identifier's own labels, finer than the law's kinds where that decides what replaces it.

use domain::phi::IdentifierKind;
use serde::{Deserialize, Serialize};

/// A kind of identifier, written as in placeholders and labelled data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Label {
    /// A person, or a part of a person's name.
    Name,
    /// Street, town or postal code.
    Location,
    /// A date, or a month with a year or a day.
    Date,
    /// An age of 90 or more.
    #[serde(rename = "AGE_OVER_89")]
    AgeOver89,
    /// A telephone number.
    Phone,
    /// A fax number; labelled data call it a phone number.
    Fax,
    /// An e-mail address.
    Email,
    /// A social security number.
    Ssn,
    /// A medical record number.
    Mrn,
    /// A number at an insurer.
    HealthPlan,
    /// An account, a card.
    Account,
    /// NPI, DEA, driver's and professional licences.
    License,
    /// A vehicle's number or plate.
    Vehicle,
    /// A device's serial number or UDI.
    Device,
    /// An address on the web.
    Url,
    /// An IP address.
    Ip,
    /// Hospital, practice, pharmacy, home.
    Facility,
    /// Any other code that stands for one person or event.
    OtherId,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Location,
        Self::Date,
        Self::AgeOver89,
        Self::Phone,
        Self::Fax,
        Self::Email,
        Self::Ssn,
        Self::Mrn,
        Self::HealthPlan,
        Self::Account,
        Self::License,
        Self::Vehicle,
        Self::Device,
        Self::Url,
        Self::Ip,
        Self::Facility,
        Self::OtherId,
    ];

    /// As in labelled data and placeholders.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Location => "LOCATION",
            Self::Date => "DATE",
            Self::AgeOver89 => "AGE_OVER_89",
            Self::Phone | Self::Fax => "PHONE",
            Self::Email => "EMAIL",
            Self::Ssn => "SSN",
            Self::Mrn => "MRN",
            Self::HealthPlan => "HEALTH_PLAN",
            Self::Account => "ACCOUNT",
            Self::License => "LICENSE",
            Self::Vehicle => "VEHICLE",
            Self::Device => "DEVICE",
            Self::Url => "URL",
            Self::Ip => "IP",
            Self::Facility => "FACILITY",
            Self::OtherId => "OTHER_ID",
        }
    }

    /// The kind in the law.
    pub const fn kind(self) -> IdentifierKind {
        match self {
            Self::Name => IdentifierKind::Name,
            Self::Location | Self::Facility => IdentifierKind::Place,
            Self::Date | Self::AgeOver89 => IdentifierKind::Date,
            Self::Phone => IdentifierKind::Phone,
            Self::Fax => IdentifierKind::Fax,
            Self::Email => IdentifierKind::Email,
            Self::Ssn => IdentifierKind::SocialSecurityNumber,
            Self::Mrn => IdentifierKind::MedicalRecordNumber,
            Self::HealthPlan => IdentifierKind::HealthPlanNumber,
            Self::Account => IdentifierKind::AccountNumber,
            Self::License => IdentifierKind::LicenseNumber,
            Self::Vehicle => IdentifierKind::Vehicle,
            Self::Device => IdentifierKind::Device,
            Self::Url => IdentifierKind::Url,
            Self::Ip => IdentifierKind::IpAddress,
            Self::OtherId => IdentifierKind::Other,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
