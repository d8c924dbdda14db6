//! NAME is a counter. `handle` is called with each message; what it keeps in `STATE` stays
//! between messages.
mod ao;

use ao::{Message, Response};
use std::sync::Mutex;

#[derive(Default)]
struct State {
    count: i64,
}

static STATE: Mutex<State> = Mutex::new(State { count: 0 });

/// Answers a message. With an error, the state stays what it was.
fn handle(message: &Message) -> Result<Response, String> {
    let mut state = STATE.lock().unwrap();
    match message.tag("Action") {
        Some("Info") => Ok(answer(&state, message, "Info-Answer")),
        Some("Add") => {
            let by: i64 = message
                .tag("Quantity")
                .unwrap_or("1")
                .parse()
                .map_err(|_| "Quantity must be a number")?;
            state.count = state.count.checked_add(by).ok_or("Quantity is too much")?;
            Ok(answer(&state, message, "Added"))
        }
        _ => Ok(Response::default()),
    }
}

fn answer(state: &State, to: &Message, action: &str) -> Response {
    let count = state.count.to_string();
    let mut response = Response::default();
    response.send(
        to.field("From"),
        &count,
        &[("Action", action), ("Count", &count)],
    );
    response.output = count;
    response
}
