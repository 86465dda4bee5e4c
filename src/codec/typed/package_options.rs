//! The options of exported `.proto` files: the packages of the code that is generated from them.

use std::collections::{BTreeMap, HashMap};

use super::names::is_java_keyword;

/// The options of the file of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageOptions {
    /// The import path and the name of the Go package, such as `example.com/stubs/customer;customerpb`.
    pub go_package: Option<String>,
    /// The Java package, such as `com.example.customer`.
    pub java_package: String,
    /// Whether methods have their paths over plain HTTP, as options of `google.api.http`.
    pub http: bool,
}

impl PackageOptions {
    /// The options of each of a set of packages, by package.
    ///
    /// `go` is the import path of the folder with the Go code; without it, there is no Go option. `java` precedes the
    /// names of the Java packages. No two Go packages have the same name.
    #[must_use]
    pub fn of_packages<'a>(
        packages: impl IntoIterator<Item = &'a str>,
        go: Option<&str>,
        java: Option<&str>,
    ) -> BTreeMap<&'a str, Self> {
        let packages: Vec<&str> = packages.into_iter().collect();
        let mut uses: HashMap<String, usize> = HashMap::new();
        for package in &packages {
            *uses.entry(short_go_name(package)).or_default() += 1;
        }
        let options = packages.into_iter().map(|package| {
            let short = short_go_name(package);
            let name = match uses.get(&short) {
                Some(1) => short,
                _ => long_go_name(package),
            };
            let folder = package.replace('.', "/");
            let options = Self {
                go_package: go.map(|path| format!("{path}/{folder};{name}pb")),
                java_package: java_name(java, package),
                http: false,
            };
            (package, options)
        });
        options.collect()
    }

    /// The options as lines of a `.proto` file. `java_outer_classname` is the class of the file.
    #[must_use]
    pub fn text(&self, java_outer_classname: &str) -> String {
        let go = self.go_package.iter();
        let go = go.map(|go| format!("option go_package = \"{go}\";\n"));
        let java = format!(
            "option java_multiple_files = true;\noption java_outer_classname = \"{java_outer_classname}\";\n\
             option java_package = \"{}\";\n",
            self.java_package
        );
        go.chain([java]).collect()
    }
}

/// The Java package. A word that Java reserves gets a `_`, by the convention of Java.
fn java_name(prefix: Option<&str>, package: &str) -> String {
    let segments = package
        .split('.')
        .map(|segment| match is_java_keyword(segment) {
            true => format!("{segment}_"),
            false => segment.to_owned(),
        });
    let prefix = prefix.map(str::to_owned).into_iter();
    prefix.chain(segments).collect::<Vec<_>>().join(".")
}

/// `crm.customer` becomes `crmcustomer`: Go package names have no separators.
fn short_go_name(package: &str) -> String {
    package.replace(['.', '_'], "")
}

/// A name that no other package has, for packages whose short names are equal.
fn long_go_name(package: &str) -> String {
    package.replace('_', "__").replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_packages_have_different_names() {
        let packages = [
            "customer",
            "a.customer",
            "crm.my_team",
            "b.cd",
            "bc.d",
            "b_c.d",
        ];
        let options = PackageOptions::of_packages(packages, Some("x.com/y"), Some("com.x"));
        let go = packages.map(|package| options[package].go_package.clone().unwrap());
        assert_eq!(
            go,
            [
                "x.com/y/customer;customerpb",
                "x.com/y/a/customer;acustomerpb",
                "x.com/y/crm/my_team;crmmyteampb",
                "x.com/y/b/cd;b_cdpb",
                "x.com/y/bc/d;bc_dpb",
                "x.com/y/b_c/d;b__c_dpb",
            ]
        );
        assert_eq!(options["a.customer"].java_package, "com.x.a.customer");
    }

    #[test]
    fn java_packages_have_no_keywords() {
        let options = PackageOptions::of_packages(["new", "a.import.b"], None, None);
        assert_eq!(options["new"].java_package, "new_");
        assert_eq!(options["a.import.b"].java_package, "a.import_.b");
    }
}
