use std::env;
use std::process;

use super::*;

fn today() -> Day {
    Day::parse("2026-11-22").unwrap()
}

const ALICE: &str = r#"{"Name":{"S":"alice"},"UID":{"N":"2001"},"GID":{"N":"2001"},"Note":{"M":{"a":{"L":[]}}}}"#;
const BOB: &str =
    r#"{"UID":{"N":"2002"},"GID":{"N":"2001"},"Name":{"S":"bob"},"Photo":{"B":"AAEC"},"Blobs":{"BS":[]}}"#;

/// The users in a file with this content.
fn users_in(content: &[u8]) -> Result<Scan, Error> {
    let config = Config::default();
    let mut collection = Collection::new(&config.user_defaults, today(), None);
    read_stream(content, "users.json", Table::Users, false, &mut collection)?;
    Ok(collection.finish(Tally::default(), String::new()))
}

fn names_in(content: impl AsRef<[u8]>) -> Vec<String> {
    let scan = users_in(content.as_ref()).unwrap();
    assert_eq!(scan.rejections, []);
    scan.accounts.users.iter().map(|user| user.name.to_string()).collect()
}

fn refused(content: impl AsRef<[u8]>) -> String {
    let error = users_in(content.as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Table);
    let text = error.to_string();
    assert!(text.starts_with("users.json") && !text.contains('\n'), "{text}");
    text
}

#[test]
fn what_aws_dynamodb_scan_prints_is_read() {
    let scan = format!(r#"{{"Items":[{BOB},{ALICE}],"Count":2,"ScannedCount":2,"ConsumedCapacity":null}}"#);
    assert_eq!(names_in(&scan), ["alice", "bob"]);
    assert_eq!(names_in(format!("\u{feff}\n{scan}\n\n")), ["alice", "bob"]);
    assert_eq!(names_in(format!(r#"{{"Count":1,"LastEvaluatedKey":null,"Items":[{ALICE}]}}"#)), ["alice"]);
    assert_eq!(names_in(r#"{"Items": [], "Count": 0}"#), [""; 0]);
}

#[test]
fn an_array_of_items_is_read() {
    assert_eq!(names_in(format!(" [ {ALICE} , {BOB} ] ")), ["alice", "bob"]);
    assert_eq!(names_in("[]"), [""; 0]);
}

#[test]
fn the_lines_of_an_export_are_read() {
    assert_eq!(names_in(format!("{{\"Item\":{ALICE}}}\n\n{{\"Item\":{BOB}}}\n")), ["alice", "bob"]);
    assert_eq!(names_in(format!("{BOB}\r\n{ALICE}")), ["alice", "bob"]);
    let odd = ALICE.replace("Note", "Items");
    assert_eq!(names_in(odd), ["alice"], "an attribute may be called Items");
}

#[test]
fn a_part_of_a_table_is_refused() {
    for (content, why) in [
        (format!(r#"{{"Items":[{ALICE}],"Count":1,"LastEvaluatedKey":{{"Name":{{"S":"x"}}}}}}"#), "LastEvaluatedKey"),
        (format!(r#"{{"NextToken":"eyJ","Items":[{ALICE}],"Count":1}}"#), "NextToken"),
        (format!(r#"{{"Items":[{ALICE}],"Count":3}}"#), "1 items and says 3"),
        (format!(r#"{{"Items":[{ALICE}]"#), "cut off"),
        (format!("{ALICE}\n{}", &BOB[..30]), "cut off in line 2"),
        (format!(r#"[{ALICE}][{BOB}]"#), "more than one table"),
        (format!(r#"{{"Items":[]}}{ALICE}"#), "after the end"),
        (format!(r#"{ALICE}{{"Items":[]}}"#), "more than one table"),
        (String::new(), "empty"),
        (" \n".to_owned(), "empty"),
        (format!(r#"{{"Keys":{{}},"NewImage":{ALICE}}}"#), "incremental"),
    ] {
        let text = refused(&content);
        assert!(text.contains(why), "{content}: {text}");
        assert!(text.ends_with("; accounts left as they were"), "{text}");
    }
}

#[test]
fn what_is_no_table_is_refused_without_quoting_it() {
    for content in [
        r#"{"message":"$6$SECRET"}"#,
        r#"{"Name":"alice","Password":"$6$SECRET"}"#,
        r#"{"Name":{"S":"a"},"Password":{"S":["$6$SECRET"]}}"#,
        r#"{"Name":{"S":"a"},"Password":{"T":"$6$SECRET"}}"#,
        r#"{"Name":{"S":"a"},"UID":{"N":2001},"Password":{"S":"$6$SECRET"}}"#,
        r#"{"Name":{"S":"a"},"Password":{"S":"$6$SECRET","N":"1"}}"#,
        r#"{"Name":{"S":"a"},"Password":{"S":"$6$SECRET"},"Password":{"S":"x"}}"#,
        r#"{"Name":{"S":"a"},"Password":{}}"#,
        r#"["$6$SECRET"]"#,
        r#""$6$SECRET""#,
        "null",
        "ITEMS\tNAME $6$SECRET",
        "<html>$6$SECRET</html>",
    ] {
        let text = refused(content);
        assert!(!text.contains("SECRET"), "{content}: {text}");
    }
    assert!(refused(r#"{"Name":"alice"}"#).contains("attribute Name is not written as DynamoDB's JSON"));
    assert!(refused([0x1f, 0x8b, 8, 0]).contains("gunzip"));
    assert!(refused([0xff, 0xfe, b'{', 0]).contains("UTF-16"));
    assert!(refused([b'"', 0xff, b'"']).contains("line 1"));
}

#[test]
fn an_item_over_dynamodbs_limit_is_refused() {
    let long = format!(r#"{{"Name":{{"S":"alice"}},"RealName":{{"S":"{}"}}}}"#, "x".repeat(410 * 1024));
    assert!(refused(long).contains("item \"alice\" has more than 400 KB"));
}

#[test]
fn what_would_fill_the_memory_is_refused_by_its_line_before_it_does() {
    let name = r#"{"Name":{"S":"alice"},"#;
    for (start, more, want) in [
        ("[\n{\"Name\":{\"S\":\"", "x", "line 2: a text is longer than an item can be"),
        ("[\n{\"", "\\u0041", "line 2: a text is longer than an item can be"),
        (
            &format!("\n\n{name}\"SSHPublicKeys\":{{\"SS\":["),
            "\"\",",
            "line 3: attribute SSHPublicKeys has more than 400 KB",
        ),
        (&format!("{name}\n\"UID\":{{\"NS\":["), "\"1\",", "line 2: attribute UID has more than 400 KB"),
        (&format!("{name}\"Unknown\":{{\"L\":"), "[", "line 1: it is nested deeper than an item can be"),
        ("{\"LastEvaluatedKey\":", "{\"a\":", "line 1: it is nested deeper than an item can be"),
        ("{\"Count\":\n", "[", "line 2: it is nested deeper than an item can be"),
    ] {
        // Sixteen megabytes, of which it must not take more than a few.
        let text = format!("{start}{}", more.repeat((16 << 20) / more.len()));
        let mut input = text.as_bytes();
        let config = Config::default();
        let mut collection = Collection::new(&config.user_defaults, today(), None);
        let error = read_stream(&mut input, "users.json", Table::Users, false, &mut collection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Table, "{error}");
        assert_eq!(error.to_string(), format!("users.json: {want}; accounts left as they were"));
        assert!(text.len() - input.len() < 5 << 20, "{want}: {}", text.len() - input.len());
    }
}

#[test]
fn a_bad_item_is_refused_alone() {
    let scan = users_in(format!("{ALICE}\n{}", BOB.replace("2002", "65535")).as_bytes()).unwrap();
    assert_eq!((scan.users, scan.accounts.users.len(), scan.rejections.len()), (2, 1, 1));
    assert_eq!(scan.accounts.refused_users.iter().collect::<Vec<_>>(), ["bob"]);
}

#[test]
fn every_type_reaches_the_rules_for_its_attribute() {
    for (value, letters) in [
        (r#"{"BOOL":true}"#, "BOOL"),
        (r#"{"B":"AAEC"}"#, "B"),
        (r#"{"BS":["AAEC"]}"#, "BS"),
        (r#"{"NS":["1"]}"#, "NS"),
        (r#"{"L":[{"S":"x"}]}"#, "L"),
        (r#"{"M":{"a":{"S":"x"}}}"#, "M"),
    ] {
        let scan =
            users_in(ALICE.replace("\"GID\"", &format!("\"SSHPublicKeys\":{value},\"GID\"")).as_bytes()).unwrap();
        let expected = format!("user alice: SSHPublicKeys: its type is {letters}, not SS; item skipped");
        assert_eq!(scan.rejections.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn standard_input_cannot_be_both_tables() {
    let error = read(&Source::Stdin, &Source::Stdin, &Config::default(), today()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test makes the files that it reads")]
fn files_and_directories_of_files_are_read() {
    let directory = env::temp_dir().join(format!("ddum-snapshot-{}", process::id()));
    let export = directory.join("data");
    fs::create_dir_all(&export).unwrap();
    fs::write(export.join("b.json"), format!("{{\"Item\":{ALICE}}}\n")).unwrap();
    fs::write(export.join("a.json"), format!("{{\"Item\":{BOB}}}\n")).unwrap();
    fs::write(export.join("c.json"), "").unwrap();
    let groups = directory.join("groups.json");
    fs::write(&groups, r#"{"Items":[{"Name":{"S":"ops"},"GID":{"N":"3000"},"Members":{"SS":["bob"]}}]}"#).unwrap();

    let source = |path: &Path| Source::File(path.to_owned());
    let scan = read(&source(&export), &source(&groups), &Config::default(), today()).unwrap();
    assert_eq!((scan.users, scan.groups, scan.pages), (2, 1, 0));
    assert_eq!(scan.source, format!("{} and {}", export.display(), groups.display()));
    assert_eq!(scan.accounts.groups[0].members[0].as_str(), "bob");

    fs::write(export.join("d.json.gz"), [0x1f, 0x8b]).unwrap();
    let error = read(&source(&export), &source(&groups), &Config::default(), today()).unwrap_err();
    assert!(error.to_string().contains("gunzip"), "{error}");

    let error = read(&source(&directory.join("none")), &source(&groups), &Config::default(), today()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    assert!(error.to_string().starts_with(&format!("cannot read {}/none: ", directory.display())), "{error}");
    fs::remove_dir_all(&directory).unwrap();
}
