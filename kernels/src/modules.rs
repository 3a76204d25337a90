//! Lists of kernel files, of which sources are put together.

/// Declares the kernel files of a folder: the name, the file, others that follow it in the same source, and the modules
/// whose functions they call.
macro_rules! modules {
    ($folder:literal: $(
        $(#[$doc:meta])* $name:ident = $file:literal $(with [$($part:literal),*])? requires [$($required:ident),*],
    )*) => {
        /// A file of kernels, or of functions that kernels share.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Module { $($(#[$doc])* $name,)* }

        impl Module {
            /// All modules.
            pub const ALL: &[Module] = &[$(Module::$name),*];

            /// The file's name.
            pub const fn file(self) -> &'static str {
                match self { $(Module::$name => $file,)* }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Module::$name => concat!(
                        include_str!(concat!("../", $folder, "/", $file)),
                        $($(include_str!(concat!("../", $folder, "/", $part)),)*)?
                    ),)*
                }
            }

            const fn requires(self) -> &'static [Module] {
                match self { $(Module::$name => &[$(Module::$required),*],)* }
            }

            /// Adds the module to a text, those that it requires before it, unless it is written already.
            fn append(self, written: &mut Vec<Module>, text: &mut String) {
                if written.contains(&self) {
                    return;
                }
                written.push(self);
                for required in self.requires() {
                    required.append(written, text);
                }
                text.push_str(self.text());
            }
        }
    };
}
pub(crate) use modules;
