//! A crate's modules as the compiler finds them: each file is read, and what each module defines, imports and mentions is noted.
//! Tests (`#[cfg(test)]`) are left out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, Item, ItemMod, Meta, UseTree, visit::Visit};

/// `crate` is empty; `crate::hub::wheel` is `["hub", "wheel"]`.
pub type ModulePath = Vec<String>;
/// A path as it is written, generic arguments left out.
pub type Written = Vec<String>;

/// What a name in a module stands for.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// It is defined here: a type, a function, a macro …
    Item,
    /// A module below.
    Module(ModulePath),
    /// Imported, by this path.
    Import(Written),
}

/// A source file, as a module of its crate.
#[derive(Debug, Default)]
pub struct Module {
    /// The place of its file in [`Crate::files`]. Modules written inside a file belong to that file.
    pub file: usize,
    /// Its names. One name may be a module and a function.
    pub names: BTreeMap<String, Vec<Meaning>>,
    /// Imported with all that is in it.
    pub globs: Vec<Written>,
    /// What its private imports and its code mention. A `pub use` mentions nothing: it only shows the way.
    pub mentions: Vec<Written>,
    /// Types that have methods written here.
    pub implemented: Vec<Written>,
}

/// A library or an executable.
#[derive(Debug)]
pub struct Crate {
    /// As cargo names the target, after its package.
    pub name: String,
    /// Files, by their place below the workspace.
    pub files: Vec<PathBuf>,
    /// All modules of all files.
    pub modules: BTreeMap<ModulePath, Module>,
}

impl Crate {
    /// Reads the crate whose first file this is. `root` is the workspace's folder.
    pub fn read(name: &str, root: &Path, first: &Path) -> Self {
        let mut this = Self { name: name.to_owned(), files: Vec::new(), modules: BTreeMap::new() };
        this.read_file(root, first, ModulePath::new(), first.parent().unwrap());
        this
    }

    /// `below`: the folder in which the files of its modules are.
    fn read_file(&mut self, root: &Path, file: &Path, path: ModulePath, below: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.files.push(file.strip_prefix(root).unwrap_or(file).to_owned());
        let place = self.files.len() - 1;
        self.read_module(root, file, place, path, below, &parsed.items);
    }

    fn read_module(&mut self, root: &Path, file: &Path, place: usize, path: ModulePath, below: &Path, items: &[Item]) {
        let mut reader = Reader { module: Module { file: place, ..Module::default() }, exported: Vec::new() };
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let child_path: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
                    reader.define(&name, Meaning::Module(child_path.clone()));
                    match &child.content {
                        Some((_, items)) => self.read_module(root, file, place, child_path, &below.join(&name), items),
                        None => {
                            let (file, below) = file_of(child, file, below);
                            self.read_file(root, &file, child_path, &below);
                        }
                    }
                }
                item => reader.visit_item(item),
            }
        }
        let Reader { module, exported } = reader;
        // A macro that is exported stands at the crate's root, wherever it is written.
        for name in exported {
            let import = ["crate".to_owned()].into_iter().chain(path.iter().cloned()).chain([name.clone()]).collect();
            self.modules.entry(ModulePath::new()).or_default().names.entry(name).or_default().push(Meaning::Import(import));
        }
        let known = self.modules.entry(path).or_default();
        let exported = std::mem::take(&mut known.names);
        *known = module;
        for (name, meanings) in exported {
            let names = known.names.entry(name).or_default();
            // A macro exported from the root itself.
            if names.is_empty() {
                names.extend(meanings);
            }
        }
    }
}

fn file_of(module: &ItemMod, parent: &Path, below: &Path) -> (PathBuf, PathBuf) {
    let name = module.ident.to_string();
    for attribute in module.attrs.iter().filter(|attribute| attribute.path().is_ident("path")) {
        if let Meta::NameValue(value) = &attribute.meta
            && let Expr::Lit(literal) = &value.value
            && let syn::Lit::Str(file) = &literal.lit
        {
            let file = parent.parent().unwrap().join(file.value());
            let folder = file.parent().unwrap().to_owned();
            return (file, folder);
        }
    }
    let (flat, folder) = (below.join(format!("{name}.rs")), below.join(&name));
    if flat.is_file() { (flat, folder) } else { (folder.join("mod.rs"), folder) }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let said = list.tokens.to_string();
            said.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test") && !said.contains("not")
        }
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

struct Reader {
    module: Module,
    exported: Vec<String>,
}

impl Reader {
    fn define(&mut self, name: &str, meaning: Meaning) {
        self.module.names.entry(name.to_owned()).or_default().push(meaning);
    }

    fn mention(&mut self, path: Written) {
        if !path.is_empty() && !self.module.mentions.contains(&path) {
            self.module.mentions.push(path);
        }
    }

    fn import(&mut self, tree: &UseTree, before: &[String], shows: bool) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Written>();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(path.ident.to_string()), shows),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before, shows)),
            UseTree::Glob(_) => self.module.globs.push(before.to_vec()),
            UseTree::Name(name) if name.ident == "self" => self.bind(before.last().cloned().unwrap_or_default(), before.to_vec(), shows),
            UseTree::Name(name) => self.bind(name.ident.to_string(), with(name.ident.to_string()), shows),
            UseTree::Rename(rename) if rename.ident == "self" => self.bind(rename.rename.to_string(), before.to_vec(), shows),
            UseTree::Rename(rename) => self.bind(rename.rename.to_string(), with(rename.ident.to_string()), shows),
        }
    }

    fn bind(&mut self, name: String, path: Written, shows: bool) {
        if !shows {
            self.mention(path.clone());
        }
        self.define(&name, Meaning::Import(path));
    }

    /// Paths inside a macro's call or definition, which is not parsed: names joined by `::`, and types.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let colons = |at: usize| matches!(tokens.get(at..at + 2), Some([TokenTree::Punct(a), TokenTree::Punct(b)]) if a.as_char() == ':' && b.as_char() == ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(first) => {
                    let before = at.checked_sub(2).and_then(|before| tokens.get(before));
                    let is_part = matches!(before, Some(TokenTree::Punct(mark)) if matches!(mark.as_char(), '.' | ':' | '\''));
                    let mut path = vec![first.to_string()];
                    while colons(at) {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 2) else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    // A name alone may be a variable; a type begins with a capital letter.
                    let is_path = path.len() > 1 || path[0].starts_with(char::is_uppercase);
                    if is_path && (!is_part || path.len() > 1) {
                        self.mention(path);
                    }
                }
                _ => {}
            }
        }
    }
}

fn written(path: &syn::Path) -> Written {
    // `::name` is another crate, whatever is called so here.
    if path.leading_colon.is_some() { Vec::new() } else { path.segments.iter().map(|segment| segment.ident.to_string()).collect() }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            return;
        }
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        if let Some(name) = name {
            self.define(&name.to_string(), Meaning::Item);
            if matches!(item, Item::Macro(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"))) {
                self.exported.push(name.to_string());
            }
        }
        if let Item::Impl(block) = item
            && block.trait_.is_none()
            && let syn::Type::Path(of) = block.self_ty.as_ref()
        {
            self.module.implemented.push(written(&of.path));
        }
        syn::visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(written(path));
        syn::visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(called) = call.func.as_ref() {
            self.mention(written(&called.path));
        }
        syn::visit::visit_expr_call(self, call);
    }

    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        // A lower-case name alone is a variable nearly always; an imported function was mentioned by its import.
        if expression.path.get_ident().is_none_or(|name| name.to_string().starts_with(char::is_uppercase)) {
            syn::visit::visit_expr_path(self, expression);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.mention(written(&call.path));
        self.scan(call.tokens.clone());
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    // `pub(super)` and attributes mention nothing that is used.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
