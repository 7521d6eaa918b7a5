// What two people do to a household's money beside taking a payment: reversal, refund, transfer,
// adjustment. Each is done once under its Idempotency-Key.
#include <utility>

#include "daemon/http/act_body.hpp"
#include "daemon/http/keyed.hpp"

namespace gatehouse::http {

namespace {

template <class Command>
void submit_act(Call& call, const char* route, Command command, const Respond& respond) {
    const KeyInProgress key(call, route, command.act.idempotency_key);
    key.submit(call.app.engine, std::move(command), respond);
}

}  // namespace

void post_reversal(Call& call, Respond respond) {
    submit_act(call, act_route::kReversal,
               read_act<ReverseEntry>(call,
                                      [&](Body&, ReverseEntry& command) {
                                          command.entry = call.params[0];
                                          return std::string();
                                      }),
               respond);
}

void post_refund(Call& call, Respond respond) {
    submit_act(call, act_route::kRefund,
               read_act<RefundMoney>(
                   call,
                   [&](Body& body, RefundMoney& command) {
                       command.account = call.params[0];
                       command.amount = body.required_decimal("amount");
                       command.method = body.text("method");
                       command.reference = body.text("reference");
                       return fields_hash({command.amount, command.method, command.reference});
                   }),
               respond);
}

void post_transfer(Call& call, Respond respond) {
    submit_act(call, act_route::kTransfer,
               read_act<TransferMoney>(
                   call,
                   [&](Body& body, TransferMoney& command) {
                       command.account = call.params[0];
                       command.amount = body.required_decimal("amount");
                       command.to = body.required_text("to");
                       command.reference = body.text("reference");
                       return fields_hash({command.amount, command.to, command.reference});
                   }),
               respond);
}

void post_adjustment(Call& call, Respond respond) {
    submit_act(call, act_route::kAdjustment,
               read_act<AdjustMoney>(
                   call,
                   [&](Body& body, AdjustMoney& command) {
                       command.account = call.params[0];
                       command.amount = body.required_decimal("amount");
                       command.service = body.text("service");
                       command.reference = body.text("reference");
                       return fields_hash({command.amount, command.service, command.reference});
                   }),
               respond);
}

}  // namespace gatehouse::http
