//! Who gets an id that several want. Whoever holds one on this host keeps it.

use std::collections::{BTreeSet, HashMap};

/// One item's wish for an id.
pub(super) struct Claim<'a> {
    pub(super) name: &'a str,
    pub(super) id: u32,
    /// The id that the account of this name has here, if there is one.
    pub(super) current: Option<u32>,
}

impl Claim<'_> {
    fn keeps(&self) -> bool {
        self.current == Some(self.id)
    }
}

/// Who holds which id, as a file's lines have it. A line that an administrator has commented out holds nothing: only
/// the shadow tools would read it, and they refuse its name.
pub(super) fn holders(ids: Vec<(u32, String, usize)>) -> Vec<(u32, String)> {
    ids.into_iter().filter(|(_, name, _)| !name.starts_with('#')).map(|(id, name, _)| (id, name)).collect()
}

/// The claims that are refused, by their index, each with the reason.
///
/// An account that an accepted claim moves away from an id frees it, so that ids can be handed on, or even swapped,
/// in one update. Refusing a move keeps its old id occupied, which may refuse another: hence the rounds, each of
/// which looks only at the ids that the one before it left occupied.
pub(super) fn settle(label: &str, holders: &[(u32, String)], claims: &[Claim<'_>]) -> HashMap<usize, String> {
    let by_name: HashMap<&str, usize> = claims.iter().enumerate().map(|(index, c)| (c.name, index)).collect();
    let mut names: HashMap<u32, Vec<&str>> = HashMap::with_capacity(holders.len());
    let mut ids: HashMap<&str, Vec<u32>> = HashMap::with_capacity(holders.len());
    for (id, name) in holders {
        names.entry(*id).or_default().push(name);
        ids.entry(name).or_default().push(*id);
    }
    let mut claimed: HashMap<u32, Vec<usize>> = HashMap::with_capacity(claims.len());
    for (index, claim) in claims.iter().enumerate().filter(|(_, claim)| !claim.keeps()) {
        claimed.entry(claim.id).or_default().push(index);
    }
    let mut refused: HashMap<usize, String> = HashMap::new();
    let mut round: BTreeSet<u32> = claimed.keys().copied().collect();
    while !round.is_empty() {
        let moves =
            |name: &str| by_name.get(name).is_some_and(|index| !refused.contains_key(index) && !claims[*index].keeps());
        let mut newly: Vec<(usize, String)> = Vec::new();
        for id in round {
            let Some(indexes) = claimed.get(&id) else { continue };
            let holder = names.get(&id).and_then(|names| names.iter().find(|name| !moves(name)));
            let holder = holder.filter(|holder| indexes.iter().any(|i| claims[*i].name != **holder));
            let reason = if let Some(holder) = holder {
                format!("{label} {id} belongs to {} on this host", crate::error::printable(holder))
            } else if indexes.len() > 1 {
                let names: BTreeSet<&str> = indexes.iter().map(|i| claims[*i].name).collect();
                format!("{label} {id} is claimed by {}", names.into_iter().collect::<Vec<_>>().join(" and "))
            } else {
                continue;
            };
            newly.extend(indexes.iter().map(|i| (*i, reason.clone())));
            claimed.remove(&id);
        }
        round = newly.iter().filter_map(|(index, _)| ids.get(claims[*index].name)).flatten().copied().collect();
        refused.extend(newly);
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holders as `name=id`, claims as `name=id`; the refused names, sorted.
    fn refused(holders: &str, claims: &str) -> String {
        let parse = |text: &str| -> Vec<(u32, String)> {
            text.split_whitespace()
                .map(|w| w.split_once('=').unwrap())
                .map(|(n, i)| (i.parse().unwrap(), n.into()))
                .collect()
        };
        let (holders, claims) = (parse(holders), parse(claims));
        let claims: Vec<Claim<'_>> = claims
            .iter()
            .map(|(id, name)| Claim { name, id: *id, current: holders.iter().find(|h| h.1 == *name).map(|h| h.0) })
            .collect();
        let mut names: Vec<&str> = settle("UID", &holders, &claims).keys().map(|i| claims[*i].name).collect();
        names.sort_unstable();
        names.join(" ")
    }

    #[test]
    fn a_long_chain_of_moves_whose_end_is_blocked_is_settled_in_one_go() {
        // In rounds over all claims this took some 10^10 steps.
        const LENGTH: u32 = 100_000;
        let holders: Vec<(u32, String)> = (0..LENGTH).map(|id| (id, format!("u{id}"))).collect();
        let claims: Vec<Claim<'_>> = holders[..holders.len() - 1]
            .iter()
            .map(|(id, name)| Claim { name, id: id + 1, current: Some(*id) })
            .collect();
        assert_eq!(settle("UID", &holders, &claims).len(), claims.len());
    }

    #[test]
    fn holders_keep_claimants_share_their_fate_and_moves_free_what_they_leave() {
        for (holders, claims, want) in [
            ("", "alice=1 bob=2", ""),
            ("local=1", "alice=1 bob=2", "alice"),
            ("", "alice=1 bob=1 carol=2", "alice bob"),
            ("alice=1", "alice=1 bob=1", "bob"),
            // Two accounts that share an id here already may go on doing so.
            ("alice=1 twin=1", "alice=1", ""),
            // Handed on, swapped, and a chain whose end is blocked.
            ("alice=1", "alice=2 bob=1", ""),
            ("alice=1 bob=2", "alice=2 bob=1", ""),
            ("alice=1 bob=2 local=3", "alice=2 bob=3", "alice bob"),
        ] {
            assert_eq!(refused(holders, claims), want, "{holders} | {claims}");
        }
    }
}
