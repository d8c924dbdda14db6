//! What a process in Rust needs of ao: the exports that a compute unit calls, messages and
//! responses.
#![allow(dead_code)]

mod json;

pub use json::Json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

/// What a process is sent.
pub struct Message {
    /// All of the message: Id, From, Owner, Target, Data, Tags, Timestamp and more.
    pub json: Json,
    /// That of the process: its own id, owner and tags, and its module's.
    pub environment: Json,
}

impl Message {
    /// The text of a field, such as From or Data; "" when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.json.get(name).and_then(Json::text).unwrap_or("")
    }

    /// The value of the first tag of a name.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let tags = self.json.get("Tags")?.list()?;
        let tag = tags
            .iter()
            .find(|tag| tag.get("name").and_then(Json::text) == Some(name))?;
        tag.get("value")?.text()
    }
}

/// What a message brings about.
#[derive(Default)]
pub struct Response {
    messages: Vec<Json>,
    spawns: Vec<Json>,
    assignments: Vec<Json>,
    /// What a person sees.
    pub output: String,
}

impl Response {
    /// Sends a message.
    pub fn send(&mut self, target: &str, data: &str, tags: &[(&str, &str)]) {
        self.messages
            .push(outgoing("Message", Some(target), data, tags));
    }

    /// Makes a process of a module, by the module's id.
    pub fn spawn(&mut self, module: &str, data: &str, tags: &[(&str, &str)]) {
        let mut all = vec![("Module", module)];
        all.extend_from_slice(tags);
        self.spawns.push(outgoing("Process", None, data, &all));
    }

    /// Has processes assigned an item that is on Arweave.
    pub fn assign(&mut self, item: &str, processes: &[&str]) {
        let processes = processes
            .iter()
            .map(|process| Json::from(*process))
            .collect();
        self.assignments.push(Json::object([
            ("Message", item.into()),
            ("Processes", Json::List(processes)),
        ]));
    }

    fn into_json(self) -> Json {
        Json::object([
            ("Messages", Json::List(self.messages)),
            ("Spawns", Json::List(self.spawns)),
            ("Assignments", Json::List(self.assignments)),
            (
                "Output",
                Json::object([("data", self.output.as_str().into())]),
            ),
        ])
    }
}

/// Every message that is sent needs an anchor of 32 bytes of its own.
static SENT: AtomicU64 = AtomicU64::new(0);

fn outgoing(kind: &str, target: Option<&str>, data: &str, tags: &[(&str, &str)]) -> Json {
    let anchor = format!("{:032}", SENT.fetch_add(1, Ordering::Relaxed) + 1);
    let protocol = [
        ("Data-Protocol", "ao"),
        ("Variant", "ao.TN.1"),
        ("Type", kind),
    ];
    let tags = protocol.iter().chain(tags);
    let tags = tags
        .map(|(name, value)| Json::object([("name", (*name).into()), ("value", (*value).into())]))
        .collect();
    let mut fields = vec![
        ("Anchor", anchor.as_str().into()),
        ("Data", data.into()),
        ("Tags", Json::List(tags)),
    ];
    if let Some(target) = target {
        fields.push(("Target", target.into()));
    }
    Json::object(fields)
}

fn respond(message: &[u8], environment: &[u8]) -> Result<Response, String> {
    crate::handle(&Message {
        json: Json::parse(message)?,
        environment: Json::parse(environment)?,
    })
}

/// A compute unit puts a message and its environment where the stack functions say. They are
/// held here for as long as they are in use, as is the answer.
static BUFFERS: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[no_mangle]
pub extern "C" fn emscripten_stack_get_current() -> usize {
    BUFFERS.lock().unwrap().len()
}

#[no_mangle]
pub extern "C" fn _emscripten_stack_restore(to: usize) {
    BUFFERS.lock().unwrap().truncate(to);
}

#[no_mangle]
pub extern "C" fn _emscripten_stack_alloc(size: usize) -> *mut u8 {
    let mut buffer = vec![0; size].into_boxed_slice();
    let at = buffer.as_mut_ptr();
    BUFFERS.lock().unwrap().push(buffer);
    at
}

/// Where a compute unit writes the marks by which it would see a stack that is too small.
static MARKS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

#[no_mangle]
pub extern "C" fn emscripten_stack_init() {}

#[no_mangle]
pub extern "C" fn emscripten_stack_get_end() -> *const AtomicU64 {
    MARKS.as_ptr()
}

/// # Safety
/// Both are texts that end with a zero byte.
#[no_mangle]
pub unsafe extern "C" fn handle(message: *const i8, environment: *const i8) -> *const u8 {
    let text = |at| std::ffi::CStr::from_ptr(at).to_bytes();
    let answer = match respond(text(message), text(environment)) {
        Ok(response) => response.into_json(),
        Err(why) => Json::object([("Error", why.as_str().into())]),
    };
    let answer = Json::object([("ok", Json::Bool(true)), ("response", answer)]).to_string();
    let mut held = ANSWER.lock().unwrap();
    *held = answer.into_bytes();
    held.push(0);
    held.as_ptr()
}
