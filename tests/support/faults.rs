//! A DynamoDB with prepared pages that goes wrong where it is told to.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{HttpServer, Reply, Request};

/// How a page goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The connection is closed without an answer.
    Drop,
    /// The body ends half way.
    Truncated,
    /// `ProvisionedThroughputExceededException`.
    Throttled,
    /// The status 500 of DynamoDB's own.
    InternalError,
    /// The status 503 of something before it.
    Unavailable,
    /// A web page with the status 200, such as a captive portal's.
    Html,
    /// `{}` with the status 200.
    Empty,
    /// The page says that it holds one item more than it does.
    WrongCount,
    /// The page's `LastEvaluatedKey` is the first page's.
    RepeatedKey,
    /// No answer.
    Hang,
    /// A byte every 100 ms.
    Drip,
    /// `AccessDeniedException`.
    Denied,
    /// `ResourceNotFoundException`.
    Missing,
    /// `ExpiredTokenException`.
    Expired,
    /// `InvalidSignatureException`, which quotes the request with its session token.
    BadSignature,
    /// `RequestTimeTooSkewed`.
    Skewed,
    /// A body that never ends.
    Endless,
    /// Fewer bytes than a page may have, of more values than any holds.
    ManyValues,
    /// Lists in lists in lists.
    Deep,
    /// A new page each time, and no item on any.
    Hollow,
    /// The status 500 with this Date header.
    Dated(&'static str),
    /// Bytes that are nothing.
    Garbage,
    /// JSON whose members have other types.
    WrongTypes,
    /// This status, which leads elsewhere.
    Redirect(u16),
}

struct Plan {
    table: &'static str,
    page: usize,
    times: usize,
    fault: Fault,
}

/// The server. `Users` and `Groups` are its tables; it knows no other.
pub struct FaultServer {
    server: HttpServer,
}

/// What a page of the fault server looks like before things go wrong.
type Pages = Vec<Vec<Value>>;

/// Builds a [`FaultServer`].
#[derive(Default)]
pub struct Builder {
    tables: HashMap<&'static str, Pages>,
    plans: Vec<Plan>,
}

impl FaultServer {
    /// Two tables without items, where nothing goes wrong.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The bodies of the Scan requests for a table so far.
    pub fn scans_of(&self, table: &str) -> Vec<Value> {
        self.server.requests().iter().map(Request::json).filter(|body| body["TableName"] == table).collect()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

impl Builder {
    /// The pages of a table.
    #[must_use]
    pub fn pages(mut self, table: &'static str, pages: Pages) -> Self {
        self.tables.insert(table, pages);
        self
    }

    /// Lets `page` (from 1) of a table go wrong, the first `times` times that it is asked for.
    #[must_use]
    pub fn fault(mut self, table: &'static str, page: usize, times: usize, fault: Fault) -> Self {
        self.plans.push(Plan { table, page, times, fault });
        self
    }

    /// Starts the server.
    pub fn start(self) -> FaultServer {
        let Self { tables, plans } = self;
        let plans = Mutex::new(plans);
        let server = HttpServer::start(move |request| {
            let body = request.json();
            let table = body["TableName"].as_str().unwrap_or_default();
            let none = vec![vec![]];
            let pages = match table {
                "Users" | "Groups" => tables.get(table).unwrap_or(&none),
                _ => return exception("ResourceNotFoundException", "Requested resource not found"),
            };
            let page = body["ExclusiveStartKey"]["Name"]["S"]
                .as_str()
                .map_or(1, |key| key.trim_start_matches("page-").parse::<usize>().unwrap() + 1);
            let mut plans = plans.lock().unwrap();
            let plan = plans.iter_mut().find(|plan| {
                plan.table == table
                    && (plan.page == page || plan.fault == Fault::Hollow && page > plan.page)
                    && plan.times > 0
            });
            let fault = plan.map(|plan| {
                plan.times -= 1;
                plan.fault
            });
            reply(table, pages, page, fault)
        });
        FaultServer { server }
    }
}

fn reply(table: &str, pages: &Pages, page: usize, fault: Option<Fault>) -> Reply {
    let none = Vec::new();
    let items = pages.get(page - 1).unwrap_or(&none);
    let mut body = json!({
        "Items": items, "Count": items.len(), "ScannedCount": items.len(),
        "ConsumedCapacity": {"TableName": table, "CapacityUnits": 1.5},
    });
    if page < pages.len() {
        body["LastEvaluatedKey"] = json!({"Name": {"S": format!("page-{page}")}});
    }
    let Some(fault) = fault else {
        return Reply::json(200, &body);
    };
    match fault {
        Fault::Drop => Reply::Drop,
        Fault::Truncated => Reply::Truncated(body.to_string()),
        Fault::Throttled => exception("ProvisionedThroughputExceededException", "The level of throughput was exceeded"),
        Fault::InternalError => {
            Reply::json(500, &json!({"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError"}))
        }
        Fault::Unavailable => Reply::Answer(503, String::new(), "<html>busy</html>".to_owned()),
        Fault::Html => Reply::Answer(200, String::new(), "<html>$6$SECRETHASH please log in</html>".to_owned()),
        Fault::Empty => Reply::json(200, &json!({})),
        Fault::WrongCount => {
            body["Count"] = json!(items.len() + 1);
            Reply::json(200, &body)
        }
        Fault::RepeatedKey => {
            body["LastEvaluatedKey"] = json!({"Name": {"S": "page-1"}});
            Reply::json(200, &body)
        }
        Fault::Hang => Reply::Hang,
        Fault::Endless => Reply::Endless(body.to_string()[..20].to_owned()),
        Fault::ManyValues => one_item(&["{\"S\":\"\"}"; 3_000_000].join(",")),
        Fault::Deep => one_item(&format!("{}{}", "{\"L\":[".repeat(1_000_000), "]}".repeat(1_000_000))),
        Fault::Hollow => {
            body = json!({"Items": [], "Count": 0, "ScannedCount": 0});
            body["LastEvaluatedKey"] = json!({"Name": {"S": format!("page-{page}")}});
            Reply::json(200, &body)
        }
        Fault::Dated(date) => Reply::Answer(500, format!("Date: {date}\r\n"), String::new()),
        Fault::Garbage => Reply::Answer(200, String::new(), "\u{1}\u{0}\u{7f}{{{[[[\"\\SECRET".repeat(100)),
        Fault::WrongTypes => Reply::json(200, &json!({"Items": "many", "Count": "2", "ScannedCount": {}})),
        Fault::Redirect(status) => {
            let elsewhere = "Location: http://127.0.0.1:9/elsewhere\r\n".to_owned();
            Reply::Answer(status, elsewhere, "<html>moved</html>".to_owned())
        }
        Fault::Skewed => exception("RequestTimeTooSkewed", "The difference between the clocks is too large"),
        Fault::Drip => Reply::Drip(body.to_string(), Duration::from_millis(100)),
        Fault::Denied => exception(
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/web/i-0 is not authorized to perform: dynamodb:Scan on \
             resource: arn:aws:dynamodb:eu-west-1:123456789012:table/Users",
        ),
        Fault::Missing => exception("ResourceNotFoundException", "Requested resource not found"),
        Fault::Expired => exception("ExpiredTokenException", "The security token included in the request is expired"),
        Fault::BadSignature => exception(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String \
             for this request should have been\n'POST\n/\n\nx-amz-security-token:SECRETTOKEN'",
        ),
    }
}

/// A page of one item, with these elements in a list. As text: what reads or writes JSON may not live through it.
fn one_item(elements: &str) -> Reply {
    let item = format!(r#"{{"Name":{{"S":"x"}},"List":{{"L":[{elements}]}}}}"#);
    Reply::Answer(200, String::new(), format!(r#"{{"Count":1,"ScannedCount":1,"Items":[{item}]}}"#))
}

fn exception(code: &str, message: &str) -> Reply {
    Reply::json(400, &json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message}))
}
