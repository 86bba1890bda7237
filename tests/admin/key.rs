//! `ddum key`.

use serde_json::json;

use super::office::*;
use super::support::emulator::Emulator;
use super::support::http::{HttpServer, Reply};
use super::support::user_item;

#[test]
fn keys_come_and_go_by_fingerprint_or_comment() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001)]);
    let office = Office::new("key", &emulator.url());
    let known = format!("{LAPTOP_PRINT} (laptop)");
    assert_eq!(office.done("key add alice laptop.pub"), format!("~ keys alice: +{known}\n"));
    assert_eq!(office.done("key add alice laptop.pub"), "");
    let both = format!("# mine\n{LAPTOP}\n{PHONE}\n");
    assert!(office.given("key add alice - --expires 2031-01-02", &both).1.contains("(phone)"));
    let keys = item(&emulator, "Users", "alice")["SSHPublicKeys"]["SS"].clone();
    let expiring = |key: &str| format!("expiry-time=\"20310102\" {key}");
    assert_eq!(keys, json!([expiring(LAPTOP), expiring(PHONE)]), "the same key with another option takes its place");

    assert_eq!(office.done(&format!("key disable alice {LAPTOP_PRINT}")), format!("~ keys alice: -{known}\n"));
    assert_eq!(office.done("key disable alice laptop"), "");
    let alice = item(&emulator, "Users", "alice");
    assert_eq!(alice["DisabledSSHPublicKeys"], json!({"SS": [expiring(LAPTOP)]}));
    assert_eq!(alice["SSHPublicKeys"], json!({"SS": [expiring(PHONE)]}));
    let list = office.done("key list alice");
    assert!(list.lines().nth(2).unwrap().ends_with("2031-01-02  disabled  laptop"), "{list}");
    assert!(office.fails("key add alice laptop.pub", 1).contains("is disabled; 'ddum key enable alice SHA256:"));
    assert_eq!(office.done("key enable alice laptop"), format!("~ keys alice: +{known}\n"));
    assert_eq!(office.done("key enable alice laptop"), "");
    assert!(item(&emulator, "Users", "alice").get("DisabledSSHPublicKeys").is_none());
    office.done("key disable alice laptop");
    office.done("key delete alice laptop");
    let (_, out, err) = office.run("key delete alice phone");
    assert!(out.contains("(phone)") && err.contains("that was the last key of alice"), "{out}{err}");
    assert_eq!(item(&emulator, "Users", "alice"), user_item("alice", 2001));

    // Two keys with one comment are told apart by their fingerprints alone.
    office.given("key add alice -", &format!("{LAPTOP}\n{}", PHONE.replace("phone", "laptop")));
    assert!(office.fails("key delete alice laptop", 1).contains("2 keys called \"laptop\"; give the fingerprint"));
    // A value that is no key can be taken away too.
    let mut bob = user_item("bob", 2002);
    bob["SSHPublicKeys"] = json!({"SS": [LAPTOP.replace("ssh-ed25519", "ssh-rsa")]});
    emulator.put("Users", &[bob]);
    assert!(office.done("key list bob").contains("refused"));
}

#[test]
fn one_s_own_keys_need_no_name() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001), user_item("bob", 2002)]);
    let office = Office::new("self", &emulator.url());
    assert!(office.done("key add laptop.pub --me-from-env").starts_with("~ keys alice: +"));
    for (arn, want) in [
        ("arn:aws:iam::123456789012:user/staff/bob", Ok("~ keys bob: +")),
        ("arn:aws:iam::123456789012:user/eve", Err("AWS knows the caller as eve: there is no user eve in table")),
        ("arn:aws:sts::123456789012:assumed-role/web/i-0123", Err("no IAM user; name the user")),
    ] {
        let sts = HttpServer::start(move |request| {
            assert!(request.body.contains("Action=GetCallerIdentity"), "{}", request.body);
            let body = format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>{arn}</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                 <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            );
            Reply::Answer(200, "Content-Type: text/xml\r\n".to_owned(), body)
        });
        let child = office.command("key add phone.pub").env("AWS_ENDPOINT_URL_STS", sts.url()).spawn().unwrap();
        let (status, out, err) = end("key add", child);
        match want {
            Ok(start) => assert!(status == 0 && out.starts_with(start), "{out}{err}"),
            Err(says) => assert!(matches!(status, 1 | 2) && err.contains(says), "{out}{err}"),
        }
    }
}

#[test]
fn a_key_that_is_there_twice_goes_as_one() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    let twin = LAPTOP.replace("laptop", "desk");
    alice["SSHPublicKeys"] = json!({"SS": [LAPTOP, twin, PHONE]});
    emulator.put("Users", &[alice]);
    let office = Office::new("twice", &emulator.url());
    let keys = |attribute: &str| item(&emulator, "Users", "alice")[attribute]["SS"].clone();
    let told = office.done(&format!("key disable alice {LAPTOP_PRINT}"));
    assert_eq!(told, format!("~ keys alice: -{LAPTOP_PRINT} (desk) -{LAPTOP_PRINT} (laptop)\n"));
    assert_eq!((keys("SSHPublicKeys"), keys("DisabledSSHPublicKeys")), (json!([PHONE]), json!([twin, LAPTOP])));
    // By its comment too, one key is meant: a line that stayed would still let it in.
    office.done("key enable alice desk");
    assert_eq!(keys("SSHPublicKeys").as_array().unwrap().len(), 3);
    office.done("key delete alice laptop");
    assert_eq!(keys("SSHPublicKeys"), json!([PHONE]));

    // A new option is not evaded by the same key without it.
    let two = json!({"TableName": "Users", "Key": {"Name": {"S": "alice"}}, "UpdateExpression": "ADD SSHPublicKeys :v",
                     "ExpressionAttributeValues": {":v": {"SS": [LAPTOP, twin]}}});
    emulator.call("UpdateItem", &two);
    office.done("key add alice laptop.pub --expires 2031-01-02");
    assert_eq!(keys("SSHPublicKeys"), json!([format!("expiry-time=\"20310102\" {LAPTOP}"), PHONE]));
    office.done("key delete alice laptop");

    let (status, out, err) = office.given("key add alice -", &format!("{LAPTOP}\n{twin}\n"));
    assert!(status == 0 && err.contains("is in it twice; the first line counts"), "{out}{err}");
    assert_eq!(keys("SSHPublicKeys"), json!([LAPTOP, PHONE]));
}
