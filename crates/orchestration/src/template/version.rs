//! The versions of the template formats and which functions each of them has (spec 2.1).

/// The two families of keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `heat_template_version`
    Hot,
    /// `HeatTemplateFormatVersion` and `AWSTemplateFormatVersion`
    Cfn,
}

/// A version of the template format, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    Aws20100909,
    Heat20121212,
    Hot20130523,
    Hot20141016,
    Hot20150430,
    Hot20151015,
    Hot20160408,
    Newton,
    Ocata,
    Pike,
    Queens,
    Rocky,
    Wallaby,
}

/// An item of `GET /template_versions/{version}/functions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDescription {
    pub name: &'static str,
    pub description: &'static str,
}

impl Version {
    /// Every version, in the order of upstream's listing.
    pub const ALL: [Version; 13] = [
        Version::Aws20100909,
        Version::Heat20121212,
        Version::Hot20130523,
        Version::Hot20141016,
        Version::Hot20150430,
        Version::Hot20151015,
        Version::Hot20160408,
        Version::Newton,
        Version::Ocata,
        Version::Pike,
        Version::Queens,
        Version::Rocky,
        Version::Wallaby,
    ];

    pub fn dialect(self) -> Dialect {
        if self <= Version::Heat20121212 { Dialect::Cfn } else { Dialect::Hot }
    }

    /// The template's key that holds the version.
    pub fn key(self) -> &'static str {
        match self {
            Version::Aws20100909 => "AWSTemplateFormatVersion",
            Version::Heat20121212 => "HeatTemplateFormatVersion",
            _ => "heat_template_version",
        }
    }

    /// The version's date.
    pub fn date(self) -> &'static str {
        match self {
            Version::Aws20100909 => "2010-09-09",
            Version::Heat20121212 => "2012-12-12",
            Version::Hot20130523 => "2013-05-23",
            Version::Hot20141016 => "2014-10-16",
            Version::Hot20150430 => "2015-04-30",
            Version::Hot20151015 => "2015-10-15",
            Version::Hot20160408 => "2016-04-08",
            Version::Newton => "2016-10-14",
            Version::Ocata => "2017-02-24",
            Version::Pike => "2017-09-01",
            Version::Queens => "2018-03-02",
            Version::Rocky => "2018-08-31",
            Version::Wallaby => "2021-04-16",
        }
    }

    /// The release name that may stand for the date.
    pub fn alias(self) -> Option<&'static str> {
        match self {
            Version::Newton => Some("newton"),
            Version::Ocata => Some("ocata"),
            Version::Pike => Some("pike"),
            Version::Queens => Some("queens"),
            Version::Rocky => Some("rocky"),
            Version::Wallaby => Some("wallaby"),
            _ => None,
        }
    }

    /// The version by its name in `GET /template_versions` (`heat_template_version.2018-08-31` or `.rocky`).
    pub fn by_listing_name(name: &str) -> Option<Version> {
        Version::ALL.into_iter().find(|version| {
            name.strip_prefix(version.key())
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest == version.date() || version.alias() == Some(rest))
        })
    }

    /// The functions a template of this version may call, for the API's listing.
    pub fn functions(self, with_condition_functions: bool) -> Vec<FunctionDescription> {
        super::expression::describe(self, with_condition_functions)
    }
}
