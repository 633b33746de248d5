//! Workers that other nodes send messages to.

use ockam::{Any, Context, Result, Routed, Worker, worker};
use ockam_core::flow_control::FlowControls;
use ockam_core::{Address, Route};

pub struct Echo;

#[worker]
impl Worker for Echo {
    type Context = Context;
    type Message = String;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.send(msg.return_route().clone(), msg.into_body()?).await
    }
}

pub struct EchoBytes;

#[worker]
impl Worker for EchoBytes {
    type Context = Context;
    type Message = Vec<u8>;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Vec<u8>>) -> Result<()> {
        ctx.send(msg.return_route().clone(), msg.into_body()?).await
    }
}

pub struct Uppercase;

#[worker]
impl Worker for Uppercase {
    type Context = Context;
    type Message = String;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let return_route = msg.return_route().clone();
        ctx.send(return_route, msg.into_body()?.to_uppercase())
            .await
    }
}

/// Passes every message on to one fixed route, and leaves the return route as it is.
pub struct Forwarder(pub Route);

#[worker]
impl Worker for Forwarder {
    type Context = Context;
    type Message = Any;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let message = msg
            .into_local_message()
            .pop_front_onward_route()?
            .prepend_front_onward_route(self.0.clone());
        let next = message.next_on_onward_route()?;
        let previous = message.return_route().next()?;
        // This worker does not appear in the return route, so the answers go from one connection straight to the
        // other, and each of the two must be allowed to feed the other.
        open_for(ctx.flow_controls(), next, previous);
        open_for(ctx.flow_controls(), previous, next);
        ctx.forward(message).await
    }
}

/// Lets whatever arrives over `connection` be delivered to `consumer`.
pub fn open_for(flow_controls: &FlowControls, connection: &Address, consumer: &Address) {
    if let Some(producer) = flow_controls.find_flow_control_with_producer_address(connection) {
        flow_controls.add_consumer(consumer, producer.flow_control_id());
    }
}
