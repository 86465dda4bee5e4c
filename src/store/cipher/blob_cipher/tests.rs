//! Blobs are opened with their key, in their place, as they were sealed.

use super::*;
use crate::model::id::Cid;
use crate::store::cipher::{Column, StoreKey};

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
const NEW: &str = "new:HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
/// The id of the key in `OLD`, and the key in `NEW`.
const OTHER: &str = "old:HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

fn cipher(keys: &str) -> BlobCipher {
    BlobCipher::new(Some(StoreKeys::parse(keys).unwrap()), false)
}

fn place(column: Column) -> Place {
    Place::of(Cid::from_bytes([7; 16]), column)
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let place = place(Column::Request);
    cipher(OLD).seal(place, plain.to_vec()).unwrap()
}

fn reason(opened: Result<Cow<'_, [u8]>>) -> String {
    opened.unwrap_err().reason().to_owned()
}

#[test]
fn what_was_sealed_is_opened_and_each_time_sealed_otherwise() {
    let place = place(Column::Request);
    for plain in [&b""[..], b"x", &[0x0a; 100_000]] {
        let (one, other) = (sealed(plain), sealed(plain));
        assert!(one != other && one.len() == other.len());
        assert_eq!(cipher(OLD).open(place, &one).unwrap(), plain);
        // An old key still opens.
        assert_eq!(
            cipher(&format!("{NEW}{OLD}")).open(place, &other).unwrap(),
            plain
        );
    }
    let blob = sealed(b"a text that is not there");
    assert!(!blob.windows(4).any(|part| part == b"text"));
}

#[test]
fn a_blob_is_opened_in_its_own_place_alone() {
    let (blob, cipher) = (sealed(b"x"), cipher(OLD));
    for other in [
        place(Column::Progress),
        Place::of(Cid::from_bytes([8; 16]), Column::Request),
    ] {
        assert_eq!(reason(cipher.open(other, &blob)), "STORE_DAMAGED");
    }
}

#[test]
fn a_blob_of_which_any_bit_was_changed_is_refused() {
    let (blob, cipher) = (sealed(b"xyz"), cipher(OLD));
    for at in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[at / 8] ^= 1 << (at % 8);
        // The first byte tells plain blobs from sealed ones: such a one does not decode.
        if at >= 8 {
            assert!(
                cipher.open(place(Column::Request), &changed).is_err(),
                "bit {at}"
            );
        }
    }
    for end in 1..blob.len() {
        let cut = cipher.open(place(Column::Request), &blob[..end]);
        assert_eq!(reason(cut), "STORE_DAMAGED", "{end} bytes");
    }
    let longer = [blob.as_slice(), b"x"].concat();
    assert_eq!(
        reason(cipher.open(place(Column::Request), &longer)),
        "STORE_DAMAGED"
    );
}

#[test]
fn without_its_key_a_blob_says_which_one_it_needs() {
    let blob = sealed(b"x");
    for without in [cipher(NEW), BlobCipher::default()] {
        let error = without.open(place(Column::Request), &blob).unwrap_err();
        assert_eq!(
            (error.reason(), error.fact("key_ids")),
            ("STORE_KEY_MISSING", Some("old"))
        );
        assert!(error.message().contains("`old`"), "{error}");
    }
    assert_eq!(
        reason(cipher(OTHER).open(place(Column::Request), &blob)),
        "STORE_DAMAGED"
    );
}

/// Two ids may have the same key: which of them sealed a blob is authenticated, too.
#[test]
fn a_blob_is_opened_with_the_id_that_sealed_it_alone() {
    let blob = sealed(b"x");
    let at = blob.windows(3).position(|id| id == b"old").unwrap();
    let mut renamed = blob.clone();
    renamed[at..at + 3].copy_from_slice(b"odd");
    let both = cipher(&format!("{OLD}{}", OLD.replace("old:", "odd:")));
    let place = place(Column::Request);
    assert_eq!(both.open(place, &blob).unwrap(), &b"x"[..]);
    assert_eq!(reason(both.open(place, &renamed)), "STORE_DAMAGED");
}

#[test]
fn plain_blobs_pass_unless_they_are_refused() {
    let keys = || Some(StoreKeys::parse(OLD).unwrap());
    let place = place(Column::Request);
    for passes in [BlobCipher::default(), BlobCipher::new(keys(), false)] {
        assert_eq!(passes.open(place, b"\x0a\x00").unwrap(), &b"\x0a\x00"[..]);
    }
    let refuses = BlobCipher::new(keys(), true);
    assert_eq!(reason(refuses.open(place, b"\x0a\x00")), "STORE_DAMAGED");
    assert_eq!(refuses.open(place, &sealed(b"x")).unwrap(), &b"x"[..]);
    assert_eq!(BlobCipher::default().seal(place, vec![1]).unwrap(), [1]);
}

#[test]
fn a_sample_shows_whether_a_key_is_the_one_with_its_id() {
    let (old, other) = (
        StoreKeys::parse(OLD).unwrap(),
        StoreKeys::parse(OTHER).unwrap(),
    );
    let sample = old.ring().first().sample().unwrap();
    let check = |key: &StoreKey| {
        key.check_sample(&sample)
            .map_err(|error| error.reason().to_owned())
    };
    assert_eq!(check(old.ring().first()), Ok(()));
    assert_eq!(
        check(other.ring().first()),
        Err("STORE_KEY_INVALID".to_owned())
    );
}
