//! Protected health information by the names of the law: the 18 identifiers of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2)(i).
//! The de-identifier counts by them, a document's status shows the counts, and a policy may refuse some of them.

use serde::{Deserialize, Serialize};

/// One of the 18 kinds, in the order of the law (A) to (R).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// (A) Names.
    Name,
    /// (B) Every place smaller than a state: street, town, postal code; also the name of a facility, which gives the place.
    Place,
    /// (C) Every part of a date but the year, and ages over 89.
    Date,
    /// (D) Telephone numbers.
    Phone,
    /// (E) Fax numbers.
    Fax,
    /// (F) Addresses of electronic mail.
    Email,
    /// (G) Social security numbers.
    SocialSecurityNumber,
    /// (H) Medical record numbers.
    MedicalRecordNumber,
    /// (I) Numbers of health plan beneficiaries.
    HealthPlanNumber,
    /// (J) Account numbers.
    AccountNumber,
    /// (K) Numbers of certificates and licences.
    LicenseNumber,
    /// (L) Vehicles: identification numbers and plates.
    Vehicle,
    /// (M) Devices: identifiers and serial numbers.
    Device,
    /// (N) Addresses on the web.
    Url,
    /// (O) Addresses of the Internet Protocol.
    IpAddress,
    /// (P) Biometric identifiers. No text holds one; the name is here so that the list is whole.
    Biometric,
    /// (Q) Photographs of faces. Likewise.
    Photograph,
    /// (R) Any other unique number, characteristic or code.
    Other,
}

impl IdentifierKind {
    /// Every kind, in the order of the law.
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Place,
        Self::Date,
        Self::Phone,
        Self::Fax,
        Self::Email,
        Self::SocialSecurityNumber,
        Self::MedicalRecordNumber,
        Self::HealthPlanNumber,
        Self::AccountNumber,
        Self::LicenseNumber,
        Self::Vehicle,
        Self::Device,
        Self::Url,
        Self::IpAddress,
        Self::Biometric,
        Self::Photograph,
        Self::Other,
    ];

    /// The stable name, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Place => "place",
            Self::Date => "date",
            Self::Phone => "phone",
            Self::Fax => "fax",
            Self::Email => "email",
            Self::SocialSecurityNumber => "social_security_number",
            Self::MedicalRecordNumber => "medical_record_number",
            Self::HealthPlanNumber => "health_plan_number",
            Self::AccountNumber => "account_number",
            Self::LicenseNumber => "license_number",
            Self::Vehicle => "vehicle",
            Self::Device => "device",
            Self::Url => "url",
            Self::IpAddress => "ip_address",
            Self::Biometric => "biometric",
            Self::Photograph => "photograph",
            Self::Other => "other",
        }
    }

    /// Reads a stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
