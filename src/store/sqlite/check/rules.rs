//! The invariants of the tables, each as a statement that finds what breaks it: rows of a CID and what was found.
//!
//! Up to the id `indexed`, all invocations are in the indexes. Later ones, after a crash, are not in all of them yet.

use super::fault::FaultKind;

/// An invariant. Its statement may have one parameter: the latest time that is plausible.
pub(super) struct Rule {
    pub(super) kind: FaultKind,
    pub(super) select: &'static str,
}

/// All invariants that a statement finds out.
pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: FaultKind::MetaInvalid,
        select: "SELECT NULL, 'there is no `' || wanted.key || '`' FROM
                 (SELECT 'generation' AS key UNION ALL SELECT 'clean' UNION ALL SELECT 'indexed') AS wanted
             WHERE NOT EXISTS (SELECT 1 FROM meta WHERE meta.key = wanted.key)
             UNION ALL SELECT NULL, '`' || key || '` is ' || value FROM meta
             WHERE value < 0 OR (key = 'generation' AND value > 2147483647)
             UNION ALL SELECT NULL, 'it was closed cleanly, and `indexed` is ' || value || ', not ' ||
                 (SELECT max(id) FROM invocation) FROM meta
             WHERE key = 'indexed' AND value < (SELECT max(id) FROM invocation)
                 AND EXISTS (SELECT 1 FROM meta WHERE key = 'clean' AND value = 1)",
    },
    Rule {
        kind: FaultKind::StateWithoutInvocation,
        select: "SELECT NULL, 'pending row ' || id FROM pending
             WHERE NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.id = pending.id)
             UNION ALL SELECT NULL, 'outcome row ' || id FROM outcome
             WHERE NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.id = outcome.id)",
    },
    Rule {
        kind: FaultKind::PendingAndEnded,
        select: "SELECT cid, 'row ' || pending.id FROM pending JOIN outcome ON outcome.id = pending.id
             LEFT JOIN invocation ON invocation.id = pending.id",
    },
    Rule {
        kind: FaultKind::StateMissing,
        select: "SELECT cid, 'row ' || id FROM invocation
             WHERE id <= (SELECT value FROM meta WHERE key = 'indexed')
                 AND NOT EXISTS (SELECT 1 FROM pending WHERE pending.id = invocation.id)
                 AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = invocation.id)",
    },
    // The one that the index has is the other one; of those that it lacks, all are compared.
    Rule {
        kind: FaultKind::CidTwice,
        select: "SELECT invocation.cid, 'rows ' || other.id || ' and ' || invocation.id FROM invocation
             JOIN cid_index ON cid_index.cid = invocation.cid AND cid_index.id != invocation.id
             JOIN invocation AS other ON other.id = cid_index.id AND other.cid = invocation.cid
             UNION ALL SELECT cid, 'rows ' || min(id) || ' and ' || max(id) FROM invocation
             WHERE id > (SELECT value FROM meta WHERE key = 'indexed') GROUP BY cid HAVING count(*) > 1",
    },
    Rule {
        kind: FaultKind::CidNotIndexed,
        select: "SELECT cid, 'row ' || id FROM invocation
             WHERE id <= (SELECT value FROM meta WHERE key = 'indexed')
                 AND NOT EXISTS (SELECT 1 FROM cid_index WHERE cid_index.cid = invocation.cid)",
    },
    Rule {
        kind: FaultKind::ServiceNotIndexed,
        select: "SELECT cid, 'row ' || id FROM invocation
             WHERE id <= (SELECT value FROM meta WHERE key = 'indexed') AND NOT EXISTS (
                 SELECT 1 FROM service_index AS entry
                 WHERE entry.service = invocation.service AND entry.id = invocation.id)",
    },
    Rule {
        kind: FaultKind::PurgeNotQueued,
        select: "SELECT cid, 'row ' || outcome.id FROM outcome
             LEFT JOIN invocation ON invocation.id = outcome.id
             WHERE purge_time IS NOT NULL AND held = 0
                 AND outcome.id <= (SELECT value FROM meta WHERE key = 'indexed') AND NOT EXISTS (
                 SELECT 1 FROM purge_queue AS entry
                 WHERE entry.purge_time = outcome.purge_time AND entry.id = outcome.id)",
    },
    Rule {
        kind: FaultKind::IndexStale,
        select: "SELECT cid, 'the index of CIDs, row ' || id FROM cid_index WHERE NOT EXISTS (
                 SELECT 1 FROM invocation WHERE invocation.id = cid_index.id AND invocation.cid = cid_index.cid)
             UNION ALL SELECT NULL, 'the index of services, row ' || id FROM service_index AS entry
             WHERE NOT EXISTS (SELECT 1 FROM invocation
                 WHERE invocation.id = entry.id AND invocation.service = entry.service)
             UNION ALL SELECT invocation.cid, 'the queue of purges, row ' || entry.id FROM purge_queue AS entry
             LEFT JOIN invocation ON invocation.id = entry.id WHERE NOT EXISTS (SELECT 1 FROM outcome
                 WHERE outcome.id = entry.id AND outcome.purge_time = entry.purge_time AND outcome.held = 0)",
    },
    Rule {
        kind: FaultKind::ServiceWrong,
        select: "SELECT cid, 'service ' || service || ' has no name' FROM invocation
             WHERE NOT EXISTS (SELECT 1 FROM service WHERE service.id = invocation.service)
             UNION ALL SELECT cid, 'service ' || invocation.service || ', pending as ' || pending.service
             FROM pending JOIN invocation ON invocation.id = pending.id
             WHERE pending.service != invocation.service",
    },
    Rule {
        kind: FaultKind::MembersMiscounted,
        select: "SELECT cid, counted || ' are counted, and ' || open || ' have not ended' FROM (
                 SELECT whole.cid, open_members AS counted, (
                     SELECT count(*) FROM invocation AS member WHERE member.group_cid = whole.cid
                     AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = member.id)) AS open
                 FROM pending JOIN invocation AS whole ON whole.id = pending.id WHERE open_members IS NOT NULL)
             WHERE counted != open",
    },
    Rule {
        kind: FaultKind::MemberHeldWrong,
        select: "SELECT cid, CASE WHEN held THEN 'held, and its group has ended' ELSE 'not held' END FROM (
                 SELECT member.cid, coalesce(outcome.held, pending.held) AS held, EXISTS (
                     SELECT 1 FROM cid_index JOIN pending AS whole ON whole.id = cid_index.id
                     WHERE cid_index.cid = member.group_cid AND open_members IS NOT NULL) AS should
                 FROM invocation AS member
                 LEFT JOIN outcome ON outcome.id = member.id LEFT JOIN pending ON pending.id = member.id
                 WHERE group_cid IS NOT NULL AND member.id <= (SELECT value FROM meta WHERE key = 'indexed'))
             WHERE held IS NOT NULL AND held != should",
    },
    Rule {
        kind: FaultKind::HeadWrong,
        select: "SELECT cid, CASE WHEN leads THEN 'not the first, and marked as it'
                     ELSE 'the first, and not marked as it' END
             FROM (SELECT id, leads, 1 = row_number() OVER (
                     PARTITION BY service, concurrency_key ORDER BY awaited DESC, wake, id) AS is_first
                 FROM pending WHERE concurrency_key IS NOT NULL) AS keyed
             LEFT JOIN invocation ON invocation.id = keyed.id WHERE leads != is_first
             UNION ALL SELECT cid, 'without a key, and not marked as first' FROM pending
             LEFT JOIN invocation ON invocation.id = pending.id
             WHERE concurrency_key IS NULL AND leads != 1",
    },
    Rule {
        kind: FaultKind::WakeLate,
        select: "SELECT cid, 'due at ' || due || ', looked at at ' || wake FROM pending
             LEFT JOIN invocation ON invocation.id = pending.id
             WHERE coalesce(open_members, 0) = 0 AND wake > due",
    },
    // The retry itself may be gone: it was purged. Whether it is one is in its request, which is decoded.
    Rule {
        kind: FaultKind::RetryWrong,
        select: "SELECT cid, 'retried, row ' || retry.id || ', and ' ||
                 CASE WHEN cid IS NULL THEN 'not stored' ELSE 'not ended' END
             FROM retry LEFT JOIN invocation ON invocation.id = retry.id
             WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = retry.id)
             UNION ALL SELECT cid, 'retried as ' || quote(retried_as) || ', which is no CID' FROM retry
             LEFT JOIN invocation ON invocation.id = retry.id WHERE length(retried_as) != 16
             UNION ALL SELECT invocation.cid, 'retried as row ' || cid_index.id || ', which was accepted before it'
             FROM retry JOIN cid_index ON cid_index.cid = retried_as AND cid_index.id <= retry.id
             LEFT JOIN invocation ON invocation.id = retry.id",
    },
    // A file that had format 1 may have the same key for two services.
    Rule {
        kind: FaultKind::KeyTwice,
        select: "SELECT max(cid), count(*) || ' have the key `' || idempotency_key || '`' FROM invocation
             WHERE idempotency_key IS NOT NULL GROUP BY idempotency_key, service HAVING count(*) > 1",
    },
    Rule {
        kind: FaultKind::TombstoneOfStored,
        select: "SELECT tombstone.cid, 'row ' || invocation.id FROM tombstone
             JOIN cid_index ON cid_index.cid = tombstone.cid
             JOIN invocation ON invocation.id = cid_index.id AND invocation.cid = tombstone.cid
             UNION ALL SELECT tombstone.cid, 'row ' || id FROM invocation
             JOIN tombstone ON tombstone.cid = invocation.cid
             WHERE id > (SELECT value FROM meta WHERE key = 'indexed')",
    },
    Rule {
        kind: FaultKind::TimeImplausible,
        select: "SELECT cid, 'accepted at ' || accept_time FROM invocation
             WHERE accept_time NOT BETWEEN 0 AND ?1
             UNION ALL SELECT cid, 'ended at ' || end_time || ', first attempted at ' ||
                 coalesce(first_attempt_time, 'no time') || ', purged at ' || coalesce(purge_time, 'no time')
             FROM outcome LEFT JOIN invocation ON invocation.id = outcome.id
             WHERE end_time NOT BETWEEN 0 AND ?1 OR first_attempt_time NOT BETWEEN 0 AND ?1 OR purge_time < end_time
             UNION ALL SELECT cid, 'first attempted at ' || first_attempt_time || ', due at ' || due FROM pending
             LEFT JOIN invocation ON invocation.id = pending.id
             WHERE first_attempt_time NOT BETWEEN 0 AND ?1 OR due < 0",
    },
    Rule {
        kind: FaultKind::SequenceBeyond,
        select: "SELECT cid, 'accepted with the sequence ' || sequence FROM invocation WHERE sequence < 0
                 OR sequence / 4294967296 > (SELECT value FROM meta WHERE key = 'generation')
             UNION ALL SELECT cid, 'written in generation ' || generation FROM pending
             LEFT JOIN invocation ON invocation.id = pending.id
             WHERE generation > (SELECT value FROM meta WHERE key = 'generation')",
    },
];
