//! Stands in for the crate of this name: the sizes are those of the values alone.

use proc_macro::TokenStream;

#[proc_macro_derive(SizeOf, attributes(size_of))]
pub fn derive(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}
