//! nftables tables as data: rendered whole, or as the difference of two.
//!
//! Either way the text is one transaction, so a packet meets the old rules or the new ones and never a gap. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ruleset {
    pub(crate) tables: Vec<Table>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) sets: BTreeMap<String, Set>,
    pub(crate) chains: BTreeMap<String, Chain>,
}

/// A set or a map; in a map an element is `key : value`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Set {
    keyword: &'static str,
    key: &'static str,
    interval: bool,
    elements: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chain {
    /// `type … hook … priority …; policy …;` of a base chain.
    pub(crate) hook: Option<&'static str>,
    pub(crate) rules: Vec<String>,
}

impl Set {
    pub(crate) fn plain(key: &'static str, elements: impl IntoIterator<Item = String>) -> Set {
        Set { keyword: "set", key, interval: false, elements: elements.into_iter().collect() }
    }
    pub(crate) fn intervals(key: &'static str, elements: impl IntoIterator<Item = String>) -> Set {
        Set { keyword: "set", key, interval: true, elements: elements.into_iter().collect() }
    }
    pub(crate) fn map(key: &'static str, elements: impl IntoIterator<Item = String>) -> Set {
        Set { keyword: "map", key, interval: false, elements: elements.into_iter().collect() }
    }

    fn write_elements<'a>(
        &self,
        verb: &str,
        elements: impl IntoIterator<Item = &'a String>,
        (family, table, name): (&str, &str, &str),
        out: &mut String,
    ) {
        let elements = join(elements);
        if !elements.is_empty() {
            let _ = writeln!(out, "{verb} element {family} {table} {name} {{ {elements} }}");
        }
    }

    fn same_shape(&self, other: &Set) -> bool {
        self.keyword == other.keyword && self.key == other.key && self.interval == other.interval
    }
}

impl Table {
    pub(crate) fn new(family: &'static str, name: impl Into<String>) -> Table {
        Table { family, name: name.into(), sets: BTreeMap::new(), chains: BTreeMap::new() }
    }
    pub(crate) fn add_set(&mut self, name: impl Into<String>, set: Set) {
        self.sets.insert(name.into(), set);
    }
    pub(crate) fn add_base(&mut self, name: &str, hook: &'static str, rules: Vec<String>) {
        self.chains.insert(name.into(), Chain { hook: Some(hook), rules });
    }
    pub(crate) fn add_chain(&mut self, name: impl Into<String>, rules: Vec<String>) {
        self.chains.insert(name.into(), Chain { hook: None, rules });
    }

    fn render(&self, out: &mut String) {
        let Table { family, name, .. } = self;
        // "add" first makes "delete" succeed when there is no such table yet.
        let _ = writeln!(out, "add table {family} {name}\ndelete table {family} {name}\ntable {family} {name} {{");
        for (name, set) in &self.sets {
            let _ = writeln!(out, "  {} {name} {{\n    type {}", set.keyword, set.key);
            if set.interval {
                out.push_str("    flags interval\n");
            }
            if !set.elements.is_empty() {
                let _ = writeln!(out, "    elements = {{ {} }}", join(&set.elements));
            }
            out.push_str("  }\n");
        }
        for (name, chain) in &self.chains {
            let _ = writeln!(out, "  chain {name} {{");
            if let Some(hook) = chain.hook {
                let _ = writeln!(out, "    {hook}");
            }
            for rule in &chain.rules {
                let _ = writeln!(out, "    {rule}");
            }
            out.push_str("  }\n");
        }
        out.push_str("}\n");
    }

    /// Appends the commands that make `old` into `self`; `None` when only a whole replacement does.
    fn difference(&self, old: &Table, out: &mut String) -> Option<()> {
        let Table { family, name: table, .. } = self;
        if old.family != self.family || old.name != self.name {
            return None;
        }
        let base = |table: &Table| -> BTreeMap<String, Chain> {
            table.chains.iter().filter(|(_, chain)| chain.hook.is_some()).map(|(n, c)| (n.clone(), c.clone())).collect()
        };
        if base(self) != base(old) {
            return None;
        }
        // What is referred to comes before what refers to it: sets, then chains, then rules, then elements of maps.
        for (name, set) in self.sets.iter().filter(|(name, _)| !old.sets.contains_key(*name)) {
            let flags = if set.interval { "flags interval; " } else { "" };
            let _ = writeln!(out, "add {} {family} {table} {name} {{ type {}; {flags}}}", set.keyword, set.key);
            set.write_elements("add", &set.elements, (family, table, name), out);
        }
        for name in self.chains.keys().filter(|name| !old.chains.contains_key(*name)) {
            let _ = writeln!(out, "add chain {family} {table} {name}");
        }
        for (name, chain) in self.chains.iter().filter(|(name, chain)| old.chains.get(*name) != Some(*chain)) {
            if old.chains.contains_key(name) {
                let _ = writeln!(out, "flush chain {family} {table} {name}");
            }
            for rule in &chain.rules {
                let _ = writeln!(out, "add rule {family} {table} {name} {rule}");
            }
        }
        for (name, set) in &self.sets {
            let Some(existing) = old.sets.get(name).filter(|existing| *existing != set) else { continue };
            // Removing and adding overlapping intervals in one transaction is not dependable.
            if set.interval || !existing.same_shape(set) {
                return None;
            }
            set.write_elements("delete", existing.elements.difference(&set.elements), (family, table, name), out);
            set.write_elements("add", set.elements.difference(&existing.elements), (family, table, name), out);
        }
        let gone = || old.chains.keys().filter(|name| !self.chains.contains_key(*name));
        for verb in ["flush", "delete"] {
            for name in gone() {
                let _ = writeln!(out, "{verb} chain {family} {table} {name}");
            }
        }
        for (name, set) in old.sets.iter().filter(|(name, _)| !self.sets.contains_key(*name)) {
            let _ = writeln!(out, "delete {} {family} {table} {name}", set.keyword);
        }
        Some(())
    }
}

fn join<'a>(elements: impl IntoIterator<Item = &'a String>) -> String {
    elements.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Ruleset {
    /// The transaction that replaces our tables by this content, whatever they hold now.
    pub(crate) fn replacement(&self) -> String {
        let mut out = String::new();
        for table in &self.tables {
            table.render(&mut out);
        }
        out
    }

    /// The transaction that turns exactly `old` into this: elements only if that suffices. Empty: nothing to do.
    pub(crate) fn update(&self, old: &Ruleset) -> String {
        let mut out = String::new();
        let partial = self.tables.len() == old.tables.len()
            && self.tables.iter().zip(&old.tables).all(|(new, old)| new.difference(old, &mut out).is_some());
        if partial {
            return out;
        }
        // A table that is no longer wanted goes in the same transaction.
        let mut out = self.replacement();
        for table in &old.tables {
            if !self.tables.iter().any(|new| new.family == table.family && new.name == table.name) {
                let Table { family, name, .. } = table;
                let _ = writeln!(out, "add table {family} {name}\ndelete table {family} {name}");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(elements: &[&str], chains: &[&str]) -> Ruleset {
        let mut table = Table::new("inet", "t");
        table.add_set("s", Set::plain("ifname", elements.iter().map(ToString::to_string)));
        table.add_base("b", "type filter hook forward priority 0; policy accept;", vec!["accept".into()]);
        for chain in chains {
            table.add_chain(*chain, vec!["drop".into()]);
        }
        Ruleset { tables: vec![table] }
    }

    #[test]
    fn equal_rulesets_need_no_transaction() {
        assert_eq!(table(&["a"], &["x"]).update(&table(&["a"], &["x"])), "");
    }

    #[test]
    fn elements_and_plain_chains_change_in_place() {
        assert_eq!(
            table(&["b", "c"], &["y"]).update(&table(&["a", "b"], &["x"])),
            "add chain inet t y\nadd rule inet t y drop\ndelete element inet t s { a }\nadd element inet t s { c }\n\
             flush chain inet t x\ndelete chain inet t x\n"
        );
    }

    #[test]
    fn rules_and_sets_change_in_place_in_the_order_of_their_references() {
        let mut new = table(&["a"], &["x"]);
        new.tables[0].add_set("other", Set::intervals("ipv4_addr", ["10.0.0.0/8".to_string()]));
        new.tables[0].add_chain("x", vec!["ip saddr @other accept".into()]);
        let old = table(&["a"], &["x", "y"]);
        assert_eq!(
            new.update(&old),
            "add set inet t other { type ipv4_addr; flags interval; }\nadd element inet t other { 10.0.0.0/8 }\n\
             flush chain inet t x\nadd rule inet t x ip saddr @other accept\nflush chain inet t y\n\
             delete chain inet t y\n"
        );
        assert!(
            old.update(&new).ends_with("add rule inet t x drop\nadd rule inet t y drop\ndelete set inet t other\n")
        );
    }

    #[test]
    fn anything_else_replaces_the_table_in_one_transaction() {
        let mut new = table(&["a"], &[]);
        new.tables[0].add_base("b", "type filter hook forward priority 0; policy accept;", vec!["drop".into()]);
        let text = new.update(&table(&["a"], &[]));
        assert!(text.starts_with("add table inet t\ndelete table inet t\ntable inet t {"), "{text}");
        let mut old = table(&[], &[]);
        old.tables[0].add_set("s", Set::intervals("ipv4_addr", ["10.0.0.0/8".to_string()]));
        assert!(table(&["a"], &[]).update(&old).contains("delete table inet t\ntable inet t {"));
        let gone = Ruleset::default().update(&table(&[], &[]));
        assert_eq!(gone, "add table inet t\ndelete table inet t\n");
    }
}
