#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/money_desk.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/core/ledger.hpp"
#include "daemon/core/text.hpp"
#include "daemon/engine/account_book.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_desk.hpp"
#include "daemon/engine/row_documents.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kTextMax = 1'000;
constexpr std::size_t kTokensMax = 200;
constexpr std::int64_t kAheadMs = 5 * 60'000;  // by which a clerk's clock may be fast
constexpr std::array<const char*, 15> kScopes{
    "readings:read",  "meters:read",  "meters:write",  "balances:read", "topups:write",
    "periods:close",  "files:read",   "alerts:read",   "alerts:write",  "keys:read",
    "cabinets:write", "tickets:read", "tickets:write", "events:read",   "admin"};

std::string hex(const unsigned char* bytes, std::size_t count) {
    static constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += kDigits[bytes[i] >> 4U];
        text += kDigits[bytes[i] & 15U];
    }
    return text;
}

std::string random_hex(Random& random, std::size_t bytes) {
    std::vector<unsigned char> raw(bytes);
    random.fill(raw.data(), raw.size());
    return hex(raw.data(), raw.size());
}

std::string sha256_hex(const std::string& text) {
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    std::vector<unsigned char> bytes(text.begin(), text.end());
    crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
    return hex(digest.data(), digest.size());
}

void check_text(Reply& reply, const std::string& pointer, const std::string& text,
                std::size_t limit) {
    if (text.size() > limit)
        reply.errors.push_back(
            {pointer, "longer than " + std::to_string(limit) + " bytes; shorten it"});
}

std::string topup_json(const Context& context, const Entry& entry, std::uint64_t event,
                       const AccountRuntime& account, const TopUp& command) {
    JsonWriter json;
    json.begin_object()
        .field("entry", entry.entry)
        .field("receipt", entry.receipt)
        .field("account", entry.account)
        .field("kind", to_string(entry.kind))
        .field("amount", format(entry.amount))
        .field("currency", context.options.currency)
        .field("method", command.method)
        .field("by", entry.by)
        .field_if("reference", command.reference)
        .field_if("paper_receipt", command.receipt)
        .field("ledger", format(account.ledger))
        .field("balance", format(account.balance));
    // Beside the balance it proves later that no top-up passed the cap of its day.
    if (account.row->hoarding_cap) json.field("hoarding_cap", format(*account.row->hoarding_cap));
    json.field("days_left", account.days_left)
        .field("level", account.level)
        .field("event", event)
        .field("at", context.iso(context.now_ms()))
        .field("clock_trusted", context.clock.trusted())
        .end_object();
    return json.take();
}

}  // namespace

Reply refusal(ReplyKind kind, std::string type, std::string detail) {
    Reply reply;
    reply.kind = kind;
    reply.type = std::move(type);
    reply.detail = std::move(detail);
    return reply;
}

std::string draw_receipt(Context& context) {
    const std::string number = std::to_string(context.store.draw(Series::receipt));
    return "R" + std::string(number.size() < 8 ? 8 - number.size() : 0, '0') + number;
}

AccountFacts facts_of(const AccountRuntime& account) {
    AccountFacts facts;
    facts.account = account.row->account;
    facts.open = account.row->closed.empty();
    facts.billing = account.row->billing;
    if (account.trial) facts.live_from = account.row->live_from;
    facts.not_yet = account.not_yet;
    facts.hoarding_cap = account.row->hoarding_cap;
    facts.balance = account.balance;
    return facts;
}

Reply judged_refusal(const std::vector<Refusal>& refusals) {
    const bool rule =
        std::all_of(refusals.begin(), refusals.end(), [](const Refusal& one) { return one.rule; });
    Reply reply = refusal(rule ? ReplyKind::refused : ReplyKind::invalid, refusals.front().type,
                          refusals.front().message);
    for (const Refusal& one : refusals) reply.errors.push_back({one.pointer, one.message});
    return reply;
}

Reply top_up(Context& context, const TopUp& command) {
    const KeyedRequest request{act_route::kTopUp, command.idempotency_key, command.body_hash};
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    const auto found = context.world.account_index.find(command.account);
    if (found == context.world.account_index.end())
        return refusal(ReplyKind::not_found, "not-found",
                       "no account has the id `" + command.account + "`");
    AccountRuntime& account = context.world.accounts[found->second];
    const TopUpJudgement judgement =
        judge_topup(facts_of(account), command.amount, command.method, command.reference);
    Reply reply;
    if (!judgement.refusals.empty()) reply = judged_refusal(judgement.refusals);
    check_staff(context, reply, "/by", command.by);
    check_text(reply, "/payer", command.payer, kTextMax);
    check_text(reply, "/note", command.note, kTextMax);
    check_text(reply, "/receipt", command.receipt, kReferenceMax);
    std::optional<UtcMs> received_at;
    if (!command.received_at.empty()) {
        received_at = parse_iso8601(command.received_at, context.zone);
        if (!received_at)
            reply.errors.push_back({"/received_at", "`" + command.received_at +
                                                        "` is no ISO 8601 time such as "
                                                        "2026-11-23T20:15:00+08:00"});
        else if (context.clock.trusted() && *received_at > context.now_ms() + kAheadMs)
            reply.errors.push_back({"/received_at", "`" + command.received_at +
                                                        "` lies in the future; money is booked "
                                                        "when it has been received"});
    }
    if (!reply.errors.empty() || !reply.type.empty()) {
        if (reply.type.empty()) {
            reply.kind = ReplyKind::invalid;
            reply.type = "invalid";
            reply.detail = reply.errors.front().message;
        }
        return reply;
    }
    const bool numbered = judgement.method != Method::cash && !command.reference.empty();
    if (const auto paid = numbered ? context.store.receipt_of_payment(
                                         command.account, command.method, command.reference)
                                   : std::nullopt)
        return refusal(ReplyKind::conflict, "payment-booked",
                       "the payment with the reference `" + command.reference + "` is on account " +
                           command.account + " already, receipt " + *paid +
                           "; nothing was booked, and a wrong receipt is undone by its reversal");
    Entry entry = topup_entry(command.account, judgement.amount, judgement.method, command.by,
                              cause_of(request));
    entry.receipt = draw_receipt(context);
    EntryExtra extra;
    extra.method = command.method;
    extra.reference = command.reference;
    extra.payer = command.payer;
    extra.note = command.note;
    extra.received_at = received_at;
    entry.entry = "e" + std::to_string(context.store.next(Series::entry));
    const std::uint64_t event = book_entry(context, found->second, entry, extra);
    reprice(context, found->second, Mover::topup);
    reply.kind = ReplyKind::created;
    reply.json = topup_json(context, entry, event, account, command);
    remember(context, request, reply);
    return reply;
}

void note_clock(Context& context, const std::string& kind) {
    if (!context.writable) return;
    // All of them: one may have come while the store could not be written.
    for (const auto& [from, offset] : context.clock.steps())
        context.store.put_run_offset(context.run, {from, offset});
    JsonWriter body;
    body.begin_object()
        .field("reason", context.clock.reason())
        .field("offset_ms", context.clock.offset_ms())
        .field("at", context.iso(context.now_ms()))
        .end_object();
    log_event(context, kind, "{}", body.take());
}

Reply confirm_clock(Context& context, const ConfirmClock& command) {
    Reply judged;
    check_staff(context, judged, "/by", command.by);
    if (!judged.errors.empty()) {
        judged.kind = ReplyKind::invalid;
        judged.type = "invalid";
        judged.detail = judged.errors.front().message;
        return judged;
    }
    if (!context.clock.confirm(context.now.mono_ms, context.now.wall_ms))
        return refusal(ReplyKind::refused, "clock", context.clock.reason());
    note_clock(context, "clock.confirmed");
    Reply reply;
    JsonWriter json;
    json.begin_object()
        .field("trusted", true)
        .field("reason", context.clock.reason())
        .field("now", context.iso(context.now.wall_ms))
        .end_object();
    reply.json = json.take();
    return reply;
}

Reply add_token(Context& context, const AddToken& command) {
    Reply reply;
    if (command.name.empty() || command.name.size() > 64)
        reply.errors.push_back({"/name", "a name of 1 to 64 bytes says what the token is for"});
    if (command.scopes.empty())
        reply.errors.push_back({"/scopes", "name at least one scope, such as readings:read"});
    const std::vector<std::string> known(kScopes.begin(), kScopes.end());
    for (const std::string& scope : command.scopes) {
        if (std::find(known.begin(), known.end(), scope) != known.end()) continue;
        const std::optional<std::string> close = nearest(scope, known);
        reply.errors.push_back({"/scopes", "`" + scope + "` is no scope" +
                                               (close ? "; did you mean `" + *close + "`?" : "")});
    }
    std::optional<UtcMs> expires;
    if (!command.expires_at.empty()) {
        expires = parse_iso8601(command.expires_at, context.zone);
        if (!expires || *expires <= context.now_ms())
            reply.errors.push_back(
                {"/expires_at", "`" + command.expires_at + "` is no time in the future"});
    }
    if (context.world.tokens.size() >= kTokensMax)
        reply.errors.push_back({"", "there are 200 tokens already; revoke some"});
    if (!reply.errors.empty()) {
        reply.kind = ReplyKind::invalid;
        reply.type = "invalid";
        reply.detail = reply.errors.front().message;
        return reply;
    }
    TokenRow token;
    token.id = random_hex(context.random, 6);
    token.name = command.name;
    token.scopes = command.scopes;
    token.created_at = context.now_ms();
    token.expires_at = expires;
    token.addresses = command.addresses;
    const std::string secret = random_hex(context.random, 24);
    token.secret_hash = sha256_hex(secret);
    context.store.put_token(token);
    const std::string id = token.id;
    JsonWriter body;
    body.begin_object().field("id", id).field("name", token.name).end_object();
    log_event(context, "token.added", "{\"token\":\"" + id + "\"}", body.take());
    JsonWriter json;
    json.begin_object().field("id", id).field("name", token.name).key("scopes").begin_array();
    for (const std::string& scope : token.scopes) json.value(scope);
    json.end_array().field("token", "gh_" + id + "_" + secret).end_object();
    reply.kind = ReplyKind::created;
    reply.json = json.take();
    context.world.tokens.emplace(id, std::move(token));
    return reply;
}

Reply revoke_token(Context& context, const RevokeToken& command) {
    const auto found = context.world.tokens.find(command.id);
    if (found == context.world.tokens.end() || found->second.revoked_at)
        return refusal(ReplyKind::not_found, "not-found",
                       "no valid token has the id `" + command.id + "`");
    found->second.revoked_at = context.now_ms();
    context.store.put_token(found->second);
    JsonWriter body;
    body.begin_object().field("id", command.id).end_object();
    log_event(context, "token.revoked", "{\"token\":\"" + command.id + "\"}", body.take());
    Reply reply;
    JsonWriter json;
    json.begin_object().field("id", command.id).field("revoked", true).end_object();
    reply.json = json.take();
    context.world.tokens.erase(found);
    return reply;
}

Reply touch_token(Context& context, const TouchToken& command) {
    Reply reply;
    const auto found = context.world.tokens.find(command.id);
    if (found == context.world.tokens.end()) return reply;
    found->second.last_used_at = context.now_ms();
    context.store.put_token(found->second);
    reply.json = "{}";
    return reply;
}

Reply move_cursor(Context& context, const MqttCursor& command) {
    Reply reply;
    reply.json = "{}";
    if (command.sealed > context.store.load_note(kSealToldNote))
        context.store.put_note(kSealToldNote, command.sealed);
    if (command.seq <= context.world.mqtt_cursor) return reply;
    context.world.mqtt_cursor = command.seq;
    context.store.put_mqtt_cursor(command.seq);
    return reply;
}

}  // namespace gatehouse
