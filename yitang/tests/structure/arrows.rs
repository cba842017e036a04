//! From what modules mention to arrows between files, and from arrows to circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sources::{Crate, Meaning, ModulePath};

/// Imports that lead to imports: more than these are a circle of imports.
const DEEP: usize = 12;

/// A place that a path leads to: a module, or an item in the module that defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub module: ModulePath,
    pub item: Option<String>,
}

/// File → file → what the first uses of the second.
pub type Arrows = BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>>;

impl Crate {
    /// Where a path that is written in a module leads, inside this crate. Empty: out of it.
    pub fn resolve(&self, module: &ModulePath, path: &[String], deep: usize) -> Vec<Place> {
        let mut from = module.clone();
        let mut rest = path;
        let mut anchored = false;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => from.clear(),
                "self" => {}
                "super" => drop(from.pop()),
                _ => break,
            }
            (rest, anchored) = (after, true);
        }
        if rest.is_empty() && !anchored { Vec::new() } else { self.walk(from, rest, deep) }
    }

    fn walk(&self, module: ModulePath, path: &[String], deep: usize) -> Vec<Place> {
        let Some((name, rest)) = path.split_first() else { return vec![Place { module, item: None }] };
        let Some(here) = self.modules.get(&module).filter(|_| deep < DEEP) else { return Vec::new() };
        let mut found = Vec::new();
        // What a path ends at here: where more follows (`Type::of`), it belongs to it, unless a module of the same name goes on.
        let mut ends = Vec::new();
        for meaning in here.names.get(name).into_iter().flatten() {
            match meaning {
                Meaning::Module(below) => found.extend(self.walk(below.clone(), rest, deep)),
                Meaning::Item => ends.push(Place { module: module.clone(), item: Some(name.clone()) }),
                Meaning::Import(import) if *import == [name.clone()] => {}
                Meaning::Import(import) => {
                    for place in self.resolve(&module, import, deep + 1) {
                        match place.item {
                            Some(_) => ends.push(place),
                            None => found.extend(self.walk(place.module, rest, deep + 1)),
                        }
                    }
                }
            }
        }
        if found.is_empty() || rest.is_empty() {
            found.extend(ends);
        }
        if found.is_empty() {
            for glob in &here.globs {
                for place in self.resolve(&module, glob, deep + 1).into_iter().filter(|place| place.item.is_none()) {
                    if place.module != module {
                        found.extend(self.walk(place.module, path, deep + 1));
                    }
                }
            }
        }
        // A name that is both, at the end of a path, is the item.
        if rest.is_empty() && found.iter().any(|place| place.item.is_some()) {
            found.retain(|place| place.item.is_some());
        }
        found
    }

    /// Who uses what of whom. A module that is only named is not used; what is reached through it is.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (path, module) in &self.modules {
            for mention in &module.mentions {
                for place in self.resolve(path, mention, 0) {
                    let Some(item) = place.item else { continue };
                    let to = self.modules[&place.module].file;
                    if to != module.file {
                        arrows.entry(module.file).or_default().entry(to).or_default().insert(item);
                    }
                }
            }
        }
        arrows
    }

    /// Methods of a type of this crate that are written neither in the type's folder nor below it.
    pub fn methods_elsewhere(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (path, module) in &self.modules {
            for of in &module.implemented {
                for place in self.resolve(path, of, 0) {
                    let home = self.files[self.modules[&place.module].file].parent();
                    if home.is_some_and(|home| !self.files[module.file].starts_with(home)) {
                        found.push(format!("{} of {}", of.join("::"), self.files[module.file].display()));
                    }
                }
            }
        }
        found
    }

    /// Its circles, each with all arrows inside it, as lines to read.
    pub fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let next = |file: usize| arrows.get(&file).into_iter().flat_map(|to| to.keys().copied());
        let reach: Vec<BTreeSet<usize>> = (0..self.files.len())
            .map(|from| {
                let (mut seen, mut left) = (BTreeSet::new(), VecDeque::from([from]));
                while let Some(file) = left.pop_front() {
                    left.extend(next(file).filter(|to| seen.insert(*to)));
                }
                seen
            })
            .collect();
        let mut circles = Vec::new();
        let mut told: BTreeSet<usize> = BTreeSet::new();
        for file in 0..self.files.len() {
            if !reach[file].contains(&file) || told.contains(&file) {
                continue;
            }
            let together: BTreeSet<usize> = reach[file].iter().copied().filter(|other| reach[*other].contains(&file)).collect();
            told.extend(&together);
            let mut lines = format!("{}: a circle of {} files\n", self.name, together.len());
            for from in &together {
                for (to, items) in arrows.get(from).into_iter().flatten().filter(|(to, _)| together.contains(to)) {
                    let (from, to) = (self.files[*from].display(), self.files[*to].display());
                    lines += &format!("  {from} → {to}: {}\n", items.iter().cloned().collect::<Vec<_>>().join(", "));
                }
            }
            circles.push(lines);
        }
        circles
    }
}
