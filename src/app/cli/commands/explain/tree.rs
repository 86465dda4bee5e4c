//! The tree of invocations that follow from another one: its children and its callbacks, with theirs.

use crate::app::cli::names::{reason_name, state_name};
use crate::app::cli::objects;
use crate::app::cli::printer::Printer;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::value::Value;
use crate::remote::client::ContractClient;

/// How many invocations a tree has at most.
const MAX_SHOWN: usize = 100;

/// The invocations below another one.
#[derive(Default)]
pub(super) struct Tree {
    /// Level by level, those of one parent in the order of acceptance.
    all: Vec<v1::Invocation>,
    /// Whether there are more.
    is_cut: bool,
}

impl Tree {
    /// Reads so many levels below an invocation.
    pub(super) async fn read(client: &ContractClient, cid: Cid, depth: u8) -> Result<Self> {
        let (mut tree, mut level) = (Self::default(), vec![cid.to_string()]);
        for _ in 0..depth {
            for parent_cid in std::mem::take(&mut level) {
                let filter = v1::InvocationFilter {
                    parent_cid,
                    ..v1::InvocationFilter::default()
                };
                // One more tells whether these are all.
                let room = MAX_SHOWN - tree.all.len();
                let mut found = client.invocations(filter, room + 1).await?;
                tree.is_cut |= found.len() > room;
                found.truncate(room);
                found.reverse();
                level.extend(found.iter().map(|one| one.cid.clone()));
                tree.all.append(&mut found);
                if tree.is_cut {
                    return Ok(tree);
                }
            }
        }
        Ok(tree)
    }

    /// Prints the children of an invocation, and its callbacks.
    pub(super) fn print(&self, printer: &Printer, cid: &str) {
        let lists = [("children", false), ("callbacks", true)];
        for (title, callbacks) in lists {
            let mut below = self.below(cid, callbacks).peekable();
            if below.peek().is_some() {
                printer.data("");
                printer.data(&format!("{title}:"));
            }
            below.for_each(|invocation| self.print_node(printer, invocation, 1));
        }
        if self.is_cut {
            let list =
                format!("there are more: `cidery invocations --parent {cid}` lists children");
            printer.data(&list);
        }
    }

    fn print_node(&self, printer: &Printer, invocation: &v1::Invocation, level: usize) {
        let (cid, service) = (&invocation.cid, &invocation.service);
        let state = state_name(invocation.state);
        let reason = reason_name(invocation);
        // Below the first level, both are in one list.
        let kind = match level > 1 && is_callback(invocation) {
            true => "callback ",
            false => "",
        };
        let indent = "  ".repeat(level);
        let line = format!("{indent}{kind}{cid}  {service}  {state}");
        let line = match reason.is_empty() || reason == state {
            true => line,
            false => format!("{line} {reason}"),
        };
        printer.data(&line);
        for callbacks in [false, true] {
            let below = self.below(cid, callbacks);
            below.for_each(|below| self.print_node(printer, below, level + 1));
        }
    }

    /// The children of an invocation, and its callbacks, each with theirs.
    pub(super) fn objects(&self, cid: &str) -> (Vec<Value>, Vec<Value>) {
        let objects = |callbacks| {
            let below = self.below(cid, callbacks);
            below.map(|invocation| self.object(invocation)).collect()
        };
        (objects(false), objects(true))
    }

    fn object(&self, invocation: &v1::Invocation) -> Value {
        let (children, callbacks) = self.objects(&invocation.cid);
        let mut object = objects::invocation(invocation);
        for (key, value) in dict! { "children": children, "callbacks": callbacks } {
            object.insert(key, value);
        }
        object.into()
    }

    fn below<'a>(
        &'a self,
        cid: &'a str,
        callbacks: bool,
    ) -> impl Iterator<Item = &'a v1::Invocation> {
        let of_it =
            move |one: &&v1::Invocation| one.parent_cid == cid && is_callback(one) == callbacks;
        self.all.iter().filter(of_it)
    }
}

fn is_callback(invocation: &v1::Invocation) -> bool {
    !invocation.in_reply_to.is_empty()
}
