//! Messages that cannot be worked on do not get lost and hold nobody up.

use super::harness::{eventually, stack};
use serde_json::{Value, json};

fn queue_url(output: &str) -> Value {
    let name = stack().output(output).rsplit(['/', ':']).next().expect("a name");
    stack().aws("sqs", "get_queue_url", json!({ "QueueName": name })).expect("a queue")["QueueUrl"].clone()
}

#[test]
fn a_message_that_can_never_be_read_is_parked_whole_and_its_neighbours_are_done() {
    let (queue, parked) = (queue_url("IndexerQueue"), queue_url("IndexerDeadLetterQueue"));
    // Locally a message stays hidden for five minutes after a failed attempt. For this one message one second will do:
    // the others of this run do not fail, and the indexer's own claim stands against a second delivery.
    let poison = json!({ "detail-type": "Object Created", "source": "aws.s3", "detail": "no detail at all" }).to_string();
    let message = json!({ "QueueUrl": queue, "MessageBody": poison });
    let set = |seconds: &str| {
        let attributes = json!({ "QueueUrl": queue, "Attributes": { "VisibilityTimeout": seconds } });
        stack().aws("sqs", "set_queue_attributes", attributes).expect("a setting");
    };
    let kept = stack().aws("sqs", "get_queue_attributes", json!({ "QueueUrl": queue, "AttributeNames": ["VisibilityTimeout"] }));
    let kept = kept.expect("attributes")["Attributes"]["VisibilityTimeout"].as_str().expect("seconds").to_owned();
    let staff = stack().staff("delivery");
    set("1");
    let poisoned = stack().aws("sqs", "send_message", message).expect("a message");
    let id = staff.index("neighbour.txt", None, b"The neighbour is searchable.");
    assert_eq!(staff.show(&id)["status"], "indexed");
    let look = json!({ "QueueUrl": parked, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0 });
    let found = eventually("the message is parked", || {
        let mut held = stack().aws("sqs", "receive_message", look.clone()).expect("the queue")["Messages"].take();
        let messages = held.as_array_mut()?;
        messages.iter_mut().find(|message| message["MessageId"] == poisoned["MessageId"]).map(Value::take)
    });
    set(&kept);
    assert_eq!(found["Body"], poison, "it is parked with its text");
}
