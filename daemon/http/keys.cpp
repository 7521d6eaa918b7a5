// Keys, key cabinets and what they push, and what people write down about a key.
#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/core/registry.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kLoansShown = 50;
constexpr std::int64_t kPiecesMax = 1'000;  // on one hook

const Key* key_row(const Call& call, const std::string& id) {
    const auto& keys = call.snapshot->registry->keys;
    const auto at =
        std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.key == id; });
    return at == keys.end() ? nullptr : &*at;
}

std::optional<KeyAct::What> what_of(const std::string& word) {
    using What = KeyAct::What;
    static constexpr std::pair<const char*, What> kWords[] = {
        {"out", What::take},        {"in", What::bring},        {"handover", What::hand},
        {"lost", What::lose},       {"found", What::find},      {"given", What::give},
        {"count", What::count},     {"extend", What::extend},   {"offer", What::offer},
        {"confirm", What::confirm}, {"decline", What::decline}, {"unseal", What::unseal},
        {"seal", What::seal},
    };
    for (const auto& [name, what] : kWords)
        if (word == name) return what;
    return std::nullopt;
}

}  // namespace

Response get_keys(Call& call) {
    Query query(call.request);
    const std::string state = query.text("state").value_or("");
    const std::string cabinet = query.text("cabinet").value_or("");
    const std::string person = query.text("person").value_or("");
    if (!state.empty() && !parse_key_place(state))
        throw Refused{
            problem(400, "query", "state=" + state + " is none of in, out, given, lost, unknown.")};
    const auto board = board_of(call);
    if (call.request.wants_html) return key_list_page(call, *board);
    return list_rows(
        board->keys, query, [](const KeyView& view) { return view.key; },
        [&](const KeyView& view) {
            const bool held = view.loan && view.loan->holder == person;
            return (state.empty() || to_string(view.place) == state) &&
                   (cabinet.empty() || view.cabinet == cabinet) && (person.empty() || held);
        },
        [&](const KeyView& view) {
            const Key* key = key_row(call, view.key);
            return key_json(view, key != nullptr ? *key : Key{}, call.app.zone);
        });
}

Response get_key(Call& call) {
    Query(call.request).finish();
    const Key* key = key_row(call, call.params[0]);
    if (key == nullptr)
        throw Refused{
            problem(404, "not-found", "No key " + call.params[0] + " stands in keys.csv.")};
    KeyView view;
    view.key = key->key;
    for (const KeyView& one : board_of(call)->keys)
        if (one.key == key->key) view = one;
    std::string text = key_json(view, *key, call.app.zone);
    text.pop_back();
    JsonWriter loans;
    loans.begin_array();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    for (const KeyLoanRow& row : books.loans_of(key->key, kLoansShown))
        loans.raw(loan_json(loan_of(row), books.links_of_loan(row.id), call.app.zone));
    loans.end_array();
    return json_response(text + ",\"loans\":" + loans.take() + "}");
}

void post_key(Call& call, Respond respond) {
    const auto what = what_of(call.params[1]);
    if (!what)
        throw Refused{problem(404, "not-found",
                              "No act " + call.params[1] +
                                  " on a key; out, in, handover, lost, found, given, count, "
                                  "extend, offer, confirm, decline, unseal and seal are.")};
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    KeyAct act;
    act.what = *what;
    act.key = call.params[0];
    act.by = by_of(call, body);
    using What = KeyAct::What;
    const bool of_both =
        act.what == What::offer || act.what == What::confirm || act.what == What::decline;
    if (act.what != What::count && act.what != What::hand && !of_both)
        act.person = body.text("person");
    if (act.what == What::take) {
        act.second = body.text("second");
        act.ticket = body.text("ticket");
        act.until = body.text("until");
    }
    if (act.what == What::unseal || act.what == What::seal) act.second = body.text("second");
    if (act.what == What::seal) act.seal_no = body.text("seal_no");
    if (act.what == What::hand) act.to = body.required_text("to");
    if (act.what == What::offer) act.to = body.text("to");
    if (act.what == What::count) {
        act.second = body.text("second");
        const auto counted = body.integer("count", 0, kPiecesMax);
        if (counted) act.counted = static_cast<int>(*counted);
        // Not said is not counted, and nobody's word that the key is away.
        if (body.has("present")) act.present = body.flag("present");
    }
    if (act.what == What::extend) act.until = body.required_text("until");
    act.reason = body.text("reason");
    // What two people say to each other happens as they say it.
    if (!of_both) act.at = body.text("at");
    body.finish();
    submit_work(call, {std::move(act)}, std::move(respond));
}

Response get_cabinets(Call& call) {
    Query query(call.request);
    const auto board = board_of(call);
    return list_rows(
        board->cabinets, query, [](const CabinetView& view) { return view.cabinet; },
        [](const CabinetView&) { return true; },
        [&](const CabinetView& view) { return cabinet_json(view, call.app.zone); });
}

Response get_cabinet_events(Call& call) {
    Query query(call.request);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const auto board = board_of(call);
    const std::string& cabinet = find_cabinet(call, *board).cabinet;
    const auto reader = call.app.readers.take();
    const auto events = reader->events_about("cabinet:" + cabinet, after, limit + 1);
    ListWriter list;
    std::uint64_t next = after;
    for (const StoredEvent& event : events) {
        if (list.count() == limit) break;
        list.item(event_json(event, call.app.zone));
        next = event.seq;
    }
    list.end_items();
    return list.finish(next, events.size() > limit);
}

void post_cabinet_events(Call& call, Respond respond) {
    Query(call.request).finish();
    const auto board = board_of(call);
    const CabinetView& cabinet = find_cabinet(call, *board);
    if (!call.app.options.decode_push)
        throw Refused{problem(503, "no-pushes", "This server takes no pushes of cabinets.")};
    auto decoded = call.app.options.decode_push(call.request.body, cabinet.cabinet);
    if (const PushProblem* wrong = std::get_if<PushProblem>(&decoded)) {
        const std::string& code = wrong->code;
        const int status = code == "too-large" || code == "too-many"       ? 413
                           : code == "src-mismatch" || code == "no-events" ? 422
                                                                           : 400;
        throw Refused{problem(status, "push-" + wrong->code, wrong->text + ".")};
    }
    submit_work(call, {std::move(std::get<KeyPush>(decoded))}, std::move(respond));
}

}  // namespace gatehouse::http
