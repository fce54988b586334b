//! `/files`, byte for byte.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Setup, body, refused};

/// Status, content range and bytes of a download.
async fn download(setup: &Setup, at: &str, path: &str, range: Option<&str>) -> (u16, Option<String>, Vec<u8>) {
    let mut request = setup.request(Method::GET, &format!("{at}/files/download?path={path}"));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let answer = request.send().await.unwrap();
    let content_range = answer.headers().get("content-range").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), content_range, answer.bytes().await.unwrap().to_vec())
}

/// Uploads a form of these parts: name, and what is in it.
async fn upload(setup: &Setup, at: &str, parts: &[(&str, &[u8])]) -> Response {
    let mut form = Vec::new();
    for (name, content) in parts {
        let file = if name.ends_with(".file") { "; filename=\"name\"" } else { "" };
        form.extend(format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        form.extend_from_slice(content);
        form.extend(b"\r\n");
    }
    form.extend(b"--edge--\r\n");
    let request = setup
        .request(Method::POST, &format!("{at}/files/bulk-upload"))
        .header("content-type", "multipart/form-data; boundary=edge");
    request.body(form).send().await.unwrap()
}

#[tokio::test]
async fn downloads_give_ranges_and_say_when_there_is_nothing_new() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}");
    setup.sh(&id, "printf '0123456789\\377\\000' > data; mkdir dir").await;
    assert_eq!(download(&setup, &at, "data", None).await, (200, None, b"0123456789\xff\0".to_vec()));
    assert_eq!(download(&setup, &at, "%2Fworkspace%2Fdata", None).await.0, 200);
    assert_eq!(download(&setup, &at, "data", Some("bytes=9-")).await, (206, Some("bytes 9-11/12".into()), b"9\xff\0".to_vec()));
    assert_eq!(download(&setup, &at, "data", Some("bytes=0-1")).await, (206, Some("bytes 0-1/12".into()), b"01".to_vec()));
    assert_eq!(download(&setup, &at, "data", Some("bytes=12-")).await, (416, Some("bytes */12".into()), Vec::new()));
    assert_eq!(download(&setup, &at, "none", Some("bytes=0-")).await.0, 404);
    assert_eq!(download(&setup, &at, "dir", None).await.0, 400);
    let (status, missing) = body(setup.get(&format!("{at}/files/download?path=none")).await).await;
    assert_eq!((status, &missing["code"], &missing["method"]), (404, &json!("FILE_NOT_FOUND"), &json!("GET")));
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn many_files_go_up_and_come_down_in_one_request() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}");
    let big: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let parts: [(&str, &[u8]); 4] = [
        ("files[0].path", "new/ä b.txt".as_bytes()),
        ("files[1].path", b"/tmp/big"),
        ("files[0].file", b"one"),
        ("files[1].file", &big),
    ];
    let up = upload(&setup, &at, &parts).await;
    let written = json!({"files": [{"path": "new/ä b.txt", "bytes": 3}, {"path": "/tmp/big", "bytes": big.len()}]});
    assert_eq!(body(up).await, (200, written));
    assert_eq!(download(&setup, &at, "/tmp/big", None).await.2, big);

    let wrong: [(&str, &[u8]); 3] = [("files[0].path", b"good"), ("files[0].file", b"x"), ("files[1].file", b"y")];
    let up = upload(&setup, &at, &wrong).await;
    let (status, answer) = body(up).await;
    assert_eq!((status, &answer["files"][0]["path"]), (400, &json!("good")), "the others are there");
    assert!(answer["errors"][0].as_str().unwrap().contains("files[1].file"), "{answer}");

    let down = setup.post(&format!("{at}/files/bulk-download"), &json!({"paths": ["new/ä b.txt", "none"]})).await;
    assert_eq!(down.headers()["content-type"], "multipart/form-data; boundary=DAYTONA-FILE-BOUNDARY");
    let text = down.text().await.unwrap();
    assert!(
        text.contains("name=\"file\"; filename=\"new/_ b.txt\"; filename*=UTF-8''new%2F%C3%A4%20b.txt\r\nContent-Length: 3\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\n\r\none\r\n--DAYTONA-FILE-BOUNDARY\r\n") && text.contains("name=\"error\""), "{text}");
    assert!(text.ends_with("--DAYTONA-FILE-BOUNDARY--\r\n"), "{text}");
    assert_eq!(setup.post(&format!("{at}/files/bulk-download"), &json!({"paths": []})).await.status(), 400);

    let raw = setup.request(Method::POST, &format!("{at}/files/upload-v2?path=raw/file")).body("raw").send().await.unwrap();
    assert_eq!(body(raw).await, (200, json!({"name": "file", "path": "/workspace/raw/file", "type": "file"})));
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn directories_are_listed_made_moved_and_deleted() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}/files");
    for _ in 0..2 {
        assert_eq!(setup.tell(&format!("{at}/folder?path=a/b&mode=777")).await.status(), 201, "also when it exists");
    }
    assert_eq!(setup.tell(&format!("{at}/folder?path=c&mode=rwx")).await.status(), 400);
    setup.sh(&id, "echo x > a/file; ln -s nowhere a/broken; ln -s b a/link; chmod 640 a/file").await;
    let (_, listed) = body(setup.get(&format!("{at}?path=a")).await).await;
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|info| (info["name"].as_str().unwrap(), info["isDir"] == true)).collect();
    assert_eq!(names, [("b", true), ("file", false), ("link", true)]);
    let (_, info) = body(setup.get(&format!("{at}/info?path=a/file")).await).await;
    assert_eq!((&info["size"], &info["mode"], &info["permissions"]), (&json!(2), &json!("-rw-r-----"), &json!("0640")));
    assert_eq!(body(setup.get(&format!("{at}/info?path=a/b")).await).await.1["permissions"], "0755", "less the mask");
    assert_eq!(body(setup.get(&format!("{at}?path=.&depth=2")).await).await.1.as_array().unwrap().len(), 4);
    assert_eq!(setup.get(&format!("{at}?path=none")).await.status(), 404);

    let moved =
        async |from: &str, to: &str| setup.tell(&format!("{at}/move?source={from}&destination={to}")).await.status().as_u16();
    assert_eq!(moved("a/file", "a/b").await, 409);
    assert_eq!(moved("a/file", "none/file").await, 404);
    assert_eq!(moved("a/file", "a/moved").await, 200);
    assert_eq!(setup.tell(&format!("{at}/permissions?path=a/moved&mode=600&owner=threadbox")).await.status(), 200);
    assert_eq!(setup.tell(&format!("{at}/permissions?path=a/moved&owner=nosuchuser")).await.status(), 400);

    assert_eq!(refused(setup.delete(&format!("{at}?path=a")).await).await.0, 400, "not without recursive");
    assert_eq!(setup.delete(&format!("{at}?path=a/moved&recursive=false")).await.status(), 204);
    assert_eq!(setup.delete(&format!("{at}?path=a&recursive=true")).await.status(), 204);
    assert_eq!(setup.delete(&format!("{at}?path=a")).await.status(), 404);
    assert_eq!(setup.tell(&format!("{at}/folder?path=~&mode=755")).await.status(), 201);
    assert_eq!(setup.sh(&id, "ls").await, "~\n", "nothing is expanded");
    setup.daytona.shut_down().await;
}

#[tokio::test]
async fn text_is_found_and_replaced_as_it_is_written() {
    let setup = Setup::new().await;
    let id = setup.sandbox().await;
    let at = format!("/toolbox/{id}/files");
    setup.sh(&id, "mkdir src; printf 'a.b\\naxb\\n' > src/one.rs; printf 'a.b\\000' > src/binary; echo 'a.b' > two.txt; chmod 600 two.txt").await;
    let (_, found) = body(setup.get(&format!("{at}/find?path=.&pattern=a.b")).await).await;
    let hits: Vec<_> = found.as_array().unwrap().iter().map(|hit| (hit["line"].clone(), hit["content"].clone())).collect();
    assert_eq!(hits, [(json!(1), json!("a.b")), (json!(1), json!("a.b"))], "{found}");
    assert_eq!(body(setup.get(&format!("{at}/find?path=none&pattern=x")).await).await, (200, json!([])));
    let (_, files) = body(setup.get(&format!("{at}/search?path=.&pattern=*.rs")).await).await;
    assert_eq!(files, json!({"files": ["/workspace/./src/one.rs"]}));
    let (_, replaced) = body(
        setup.post(&format!("{at}/replace"), &json!({"files": ["two.txt", "none"], "pattern": "a.b", "newValue": "$1"})).await,
    )
    .await;
    assert_eq!((&replaced[0], &replaced[1]["success"]), (&json!({"file": "two.txt", "success": true}), &Value::Bool(false)));
    assert_eq!(setup.sh(&id, "cat two.txt; stat -c %a two.txt").await, "$1\n600\n");
    setup.daytona.shut_down().await;
}
