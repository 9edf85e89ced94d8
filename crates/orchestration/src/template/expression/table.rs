//! Which name means which function in which version, as a value and inside conditions (spec 2.1, 2.8).

use crate::template::{FunctionDescription, Version};

/// An intrinsic function, with the traits its version gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    GetParam,
    GetResource,
    GetAttr(AttributeForm),
    GetFile,
    /// One list of strings.
    Join,
    /// Any number of lists; maps and lists inside become JSON.
    JoinMany,
    Replace(ReplaceForm),
    Split,
    Repeat(RepeatForm),
    Digest,
    ResourceFacade,
    MapMerge,
    MapReplace,
    Filter,
    MakeUrl,
    ListConcat,
    ListConcatUnique,
    Contains,
    /// `nullable`: the else branch may be left out.
    If {
        nullable: bool,
    },
    Equals,
    Not,
    And,
    Or,
    Yaql,
    /// A parameter, or a resource's reference id.
    Ref,
    /// A parameter (`Ref` inside conditions).
    ParamRef,
    Select,
    CfnSplit,
    Base64,
    MemberListToMap,
    AvailabilityZones,
    FindInMap,
    /// Existed in older versions.
    Removed,
    /// Exists, but not in this place.
    Misplaced,
    /// A branch of an `if` that cannot be parsed; it harms only when it is taken. The argument is the error's text.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeForm {
    /// The whole attribute is fetched, the path applied afterwards.
    ThenSelect,
    /// The path is passed on.
    Path,
    /// As `Path`, and `[resource]` alone gives all attributes.
    AllOrPath,
    /// `[resource, attribute]` only.
    Cfn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplaceForm {
    /// Strings and numbers only.
    Plain,
    /// Maps and lists become JSON.
    Json,
    /// … and every key has to occur.
    Strict,
    /// … and every value has to be there.
    VeryStrict,
    /// `[params, template]`
    Cfn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepeatForm {
    Lists,
    /// Keys of maps, too.
    Maps,
    /// … and `permutations`.
    Permutations,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    Value,
    Condition,
}

/// The function a name stands for; none if the name is plain data.
pub(crate) fn lookup(version: Version, context: Context, name: &str) -> Option<Function> {
    if context == Context::Value {
        return value_function(version, name);
    }
    condition_function(version, name).or_else(|| match value_function(version, name) {
        Some(Function::Removed) => Some(Function::Removed),
        other => other.map(|_| Function::Misplaced),
    })
}

fn value_function(version: Version, name: &str) -> Option<Function> {
    match version {
        Version::Aws20100909 | Version::Heat20121212 => cfn_function(version, name),
        _ => hot_function(version, name),
    }
}

fn cfn_function(version: Version, name: &str) -> Option<Function> {
    Some(match name {
        "Fn::FindInMap" => Function::FindInMap,
        "Fn::GetAtt" => Function::GetAttr(AttributeForm::Cfn),
        "Fn::If" if version == Version::Aws20100909 => Function::If { nullable: false },
        _ => return shared_cfn_function(name),
    })
}

/// The CloudFormation functions that the first HOT version has, too.
fn shared_cfn_function(name: &str) -> Option<Function> {
    Some(match name {
        "Fn::GetAZs" => Function::AvailabilityZones,
        "Ref" => Function::Ref,
        "Fn::Select" => Function::Select,
        "Fn::Join" => Function::Join,
        "Fn::Split" => Function::CfnSplit,
        "Fn::Replace" => Function::Replace(ReplaceForm::Cfn),
        "Fn::Base64" => Function::Base64,
        "Fn::MemberListToMap" => Function::MemberListToMap,
        "Fn::ResourceFacade" => Function::ResourceFacade,
        _ => return None,
    })
}

fn hot_function(version: Version, name: &str) -> Option<Function> {
    let since = |first: Version, function: Function| (version >= first).then_some(function);
    match name {
        "get_param" => Some(Function::GetParam),
        "get_resource" => Some(Function::GetResource),
        "get_file" => Some(Function::GetFile),
        "resource_facade" => Some(Function::ResourceFacade),
        "get_attr" => Some(Function::GetAttr(match version {
            Version::Hot20130523 => AttributeForm::ThenSelect,
            Version::Hot20141016 | Version::Hot20150430 => AttributeForm::Path,
            _ => AttributeForm::AllOrPath,
        })),
        "list_join" => Some(if version < Version::Hot20151015 { Function::Join } else { Function::JoinMany }),
        "str_replace" => {
            Some(Function::Replace(if version < Version::Hot20151015 { ReplaceForm::Plain } else { ReplaceForm::Json }))
        }
        "repeat" => since(
            Version::Hot20150430,
            Function::Repeat(match version {
                v if v < Version::Newton => RepeatForm::Lists,
                v if v < Version::Pike => RepeatForm::Maps,
                _ => RepeatForm::Permutations,
            }),
        ),
        "digest" => since(Version::Hot20150430, Function::Digest),
        "str_split" => since(Version::Hot20151015, Function::Split),
        "map_merge" => since(Version::Hot20160408, Function::MapMerge),
        "map_replace" => since(Version::Newton, Function::MapReplace),
        "if" => since(Version::Newton, Function::If { nullable: version >= Version::Wallaby }),
        "yaql" => since(Version::Newton, Function::Yaql),
        "filter" => since(Version::Ocata, Function::Filter),
        "str_replace_strict" => since(Version::Ocata, Function::Replace(ReplaceForm::Strict)),
        "str_replace_vstrict" => since(Version::Pike, Function::Replace(ReplaceForm::VeryStrict)),
        "make_url" => since(Version::Pike, Function::MakeUrl),
        "list_concat" => since(Version::Pike, Function::ListConcat),
        "list_concat_unique" => since(Version::Pike, Function::ListConcatUnique),
        "contains" => since(Version::Pike, Function::Contains),
        "Fn::Select" if version < Version::Hot20151015 => Some(Function::Select),
        _ => shared_cfn_function(name).map(|function| match version {
            Version::Hot20130523 => function,
            _ => Function::Removed,
        }),
    }
}

fn condition_function(version: Version, name: &str) -> Option<Function> {
    if version == Version::Aws20100909 {
        return Some(match name {
            "Fn::Equals" => Function::Equals,
            "Fn::Not" => Function::Not,
            "Fn::And" => Function::And,
            "Fn::Or" => Function::Or,
            "Fn::FindInMap" => Function::FindInMap,
            "Ref" => Function::ParamRef,
            _ => return None,
        });
    }
    if version < Version::Newton {
        return None;
    }
    Some(match name {
        "get_param" => Function::GetParam,
        "equals" => Function::Equals,
        "not" => Function::Not,
        "and" => Function::And,
        "or" => Function::Or,
        "contains" if version >= Version::Pike => Function::Contains,
        "yaql" if version >= Version::Pike => Function::Yaql,
        _ => return None,
    })
}

/// Every name with upstream's one-line description, in upstream's order.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("Fn::FindInMap", "A function for resolving keys in the template mappings."),
    ("Fn::GetAZs", "A function for retrieving the availability zones."),
    ("get_attr", "A function for resolving resource attributes."),
    ("get_file", "A function for including a file inline."),
    ("get_param", "A function for resolving parameter references."),
    ("get_resource", "A function for resolving resource references."),
    ("Ref", "A function for resolving parameters or resource references."),
    ("Fn::GetAtt", "A function for resolving resource attributes."),
    ("Fn::Select", "A function for selecting an item from a list or map."),
    ("Fn::Join", "A function for joining strings."),
    ("list_join", "A function for joining one or more lists of strings."),
    ("repeat", "A function for iterating over a list of items or a dict of keys."),
    ("resource_facade", "A function for retrieving data in a parent provider template."),
    ("str_replace", "A function for performing string substitutions."),
    ("Fn::Split", "A function for splitting strings."),
    ("Fn::Replace", "A function for performing string substitutions."),
    ("Fn::Base64", "A placeholder function for converting to base64."),
    ("Fn::MemberListToMap", "A function to convert lists with enumerated keys and values to mapping."),
    ("Fn::ResourceFacade", "A function for retrieving data in a parent provider template."),
    ("Fn::If", "A function to return corresponding value based on condition evaluation."),
    ("digest", "A function for performing digest operations."),
    ("str_split", "A function for splitting delimited strings into a list."),
    ("map_merge", "A function for merging maps."),
    ("map_replace", "A function for performing substitutions on maps."),
    ("if", "A function to return corresponding value based on condition evaluation."),
    ("filter", "A function for filtering out values from lists."),
    ("str_replace_strict", "A function for performing string substitutions."),
    ("make_url", "A function for performing substitutions on maps."),
    ("list_concat", "A function for extending lists."),
    ("str_replace_vstrict", "A function for performing string substitutions."),
    ("list_concat_unique", "A function for extending lists with unique items."),
    ("contains", "A function for checking whether specific value is in sequence."),
];

const CONDITION_DESCRIPTIONS: &[(&str, &str)] = &[
    ("equals", "A function for comparing whether two values are equal."),
    ("not", "A function that acts as a NOT operator on a condition."),
    ("and", "A function that acts as an AND operator on conditions."),
    ("or", "A function that acts as an OR operator on conditions."),
    ("Fn::Equals", "A function for comparing whether two values are equal."),
    ("Fn::Not", "A function that acts as a NOT operator on a condition."),
    ("Fn::And", "A function that acts as an AND operator on conditions."),
    ("Fn::Or", "A function that acts as an OR operator on conditions."),
];

/// The listing of a version's functions. Removed ones are left out, and so is `yaql`, which is refused.
pub(crate) fn describe(version: Version, with_condition_functions: bool) -> Vec<FunctionDescription> {
    let is_callable = |function: Option<Function>| !matches!(function, None | Some(Function::Removed | Function::Yaql));
    let values = DESCRIPTIONS.iter().filter(|(name, _)| is_callable(value_function(version, name)));
    let conditions = CONDITION_DESCRIPTIONS
        .iter()
        .filter(|(name, _)| with_condition_functions && is_callable(condition_function(version, name)));
    values.chain(conditions).map(|(name, description)| FunctionDescription { name, description }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_come_and_go_with_versions() {
        let value = |version, name| lookup(version, Context::Value, name);
        assert_eq!(value(Version::Hot20130523, "Ref"), Some(Function::Ref));
        assert_eq!(value(Version::Hot20141016, "Ref"), Some(Function::Removed));
        assert_eq!(value(Version::Hot20150430, "Fn::Select"), Some(Function::Select));
        assert_eq!(value(Version::Hot20151015, "Fn::Select"), Some(Function::Removed));
        assert_eq!(value(Version::Hot20160408, "if"), None);
        assert_eq!(value(Version::Rocky, "if"), Some(Function::If { nullable: false }));
        assert_eq!(value(Version::Wallaby, "if"), Some(Function::If { nullable: true }));
        assert_eq!(value(Version::Rocky, "equals"), None);
        assert_eq!(value(Version::Heat20121212, "Fn::If"), None);
        assert_eq!(lookup(Version::Rocky, Context::Condition, "equals"), Some(Function::Equals));
        assert_eq!(lookup(Version::Rocky, Context::Condition, "list_join"), Some(Function::Misplaced));
        assert_eq!(lookup(Version::Rocky, Context::Condition, "Ref"), Some(Function::Removed));
        assert_eq!(lookup(Version::Ocata, Context::Condition, "contains"), None);
    }

    #[test]
    fn the_listing_counts_as_upstream_less_yaql() {
        assert_eq!(describe(Version::Rocky, false).len(), 20);
        assert_eq!(describe(Version::Rocky, true).len(), 24);
        assert_eq!(describe(Version::Hot20130523, false).len(), 16);
        assert_eq!(describe(Version::Aws20100909, true).len(), 16);
        assert_eq!(describe(Version::Heat20121212, true).len(), 11);
    }
}
