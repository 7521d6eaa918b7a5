// What the administrator does: the registry, tokens, the clock, and the proof of the books.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "daemon/core/base64.hpp"
#include "daemon/engine/json_pointer.hpp"
#include "daemon/engine/registry_files.hpp"
#include "daemon/engine/replay_proof.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/addresses.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/roles.hpp"

namespace gatehouse::http {

namespace {

// Names that the registry folder can have; anything else would only be a puzzle in a message.
bool is_file_name(std::string_view name) {
    if (name.empty() || name.size() > 128 || name.front() == '/') return false;
    if (name.find("..") != std::string_view::npos) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte > 0x20 && byte != 0x7F && c != '\\';
    });
}

}  // namespace

Response get_registry(Call& call) {
    Query(call.request).finish();
    // Cards are stored hashed already, so nothing is left to hash here.
    const auto files = registry_files::write(*call.snapshot->registry,
                                             [](const std::string& card) { return card; });
    // The administrator keeps the system and not the households' files.
    const Staff* staff = nullptr;
    for (const Staff& one : call.snapshot->registry->staff)
        if (one.staff == call.person) staff = &one;
    const bool people =
        call.person.empty() || (staff != nullptr && may(staff->roles, "files:read"));
    JsonWriter names;
    names.begin_object();
    for (const auto& [name, bytes] : files)
        if (people || name != "people.csv") names.field(name, base64_encode(bytes));
    names.end_object();
    const std::string all = names.take();
    // Who takes everybody's names out of the house stands in the log first, and in what is taken.
    if (people && !call.compared) {
        call.snapshot = call.app.engine.snapshot();
        ask_engine(call, NoteView{call.actor, "", "", "registry"});
    }
    JsonWriter json;
    json.begin_object().key("files").raw(all).key("exported").begin_object();
    json.field("by", call.actor)
        .field("at", format_iso8601(call.snapshot->now_ms, call.app.zone))
        .end_object()
        .end_object();
    Response response = json_response(json.take());
    response.headers.emplace_back("ETag", '"' + sha256_hex(all) + '"');
    return response;
}

void post_registry(Call& call, Respond respond) {
    Query query(call.request);
    ImportRegistry import;
    import.actor = call.actor;
    import.dry_run = query.flag("dry_run");
    query.finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    for (auto& [name, text] : body.required_map("files")) {
        auto bytes = base64_decode(text);
        if (!is_file_name(name)) {
            body.wrong("/files/" + pointer_part(name),
                       "is no name of a registry file, such as units.csv");
        } else if (!bytes) {
            body.wrong("/files/" + pointer_part(name), "is no base64");
        } else {
            import.files.emplace_back(std::move(name), std::move(*bytes));
        }
    }
    import.by = body.text("by");
    import.second = body.text("second");
    if (!call.person.empty()) {
        // A second person is needed where it moves money of days that have passed, and is then one
        // who is logged in as well.
        if (body.has("approval")) {
            const Signed people = two_of(call, body);
            import.second = people.second;
            import.actor = people.actor;
        } else if (!import.second.empty()) {
            body.wrong("/approval",
                       "is missing: the second person asks for a code with POST "
                       "/api/v1/session/approvals and tells it to you");
        }
        import.by = by_of(call, body);
    }
    import.reason = body.text("reason");
    import.control_accounts = body.integer("control_accounts", 0, 1'000'000);
    import.control_sum = body.text("control_sum");
    body.finish();
    // The engine compares once more: between the look and the import others may import.
    if (!call.request.if_match.empty()) import.seen = call.snapshot->registry;
    import.parsed = std::make_shared<registry_files::Parsed>(registry_files::parse(import.files));
    import.files.clear();
    submit(call, std::move(import), std::move(respond));
}

Response get_tokens(Call& call) {
    Query query(call.request);
    const auto rows = call.app.readers.take()->tokens();
    return list_rows(
        rows, query, [](const TokenRow& token) { return token.id; },
        [](const TokenRow&) { return true; },
        [&](const TokenRow& token) { return token_json(token, call.app.zone); });
}

void post_token(Call& call, Respond respond) {
    submit_act<AddToken>(call, std::move(respond), [&](Body& body, AddToken& act) {
        act.name = body.required_text("name");
        // The command line's option is --scope, with commas between; both names are taken.
        const char* name = !body.has("scopes") && body.has("scope") ? "scope" : "scopes";
        act.scopes = body.required_texts(name, /*commas=*/true);
        act.expires_at = body.text("expires_at");
        if (body.has("addresses")) act.addresses = body.required_texts("addresses");
        for (std::size_t i = 0; i < act.addresses.size(); ++i) {
            if (is_address(act.addresses[i])) continue;
            body.wrong("/addresses/" + std::to_string(i),
                       act.addresses[i] + " is no address; write 192.0.2.7 or 192.0.2.0/24");
        }
        const auto known = scopes();
        for (std::size_t i = 0; i < act.scopes.size(); ++i) {
            const std::string& scope = act.scopes[i];
            if (std::find(known.begin(), known.end(), scope) != known.end()) continue;
            std::string all;
            for (const char* one : known) all += (all.empty() ? "" : " ") + std::string(one);
            body.wrong("/" + std::string(name) + "/" + std::to_string(i),
                       scope + " is no scope; known are: " + all);
        }
        if (!act.expires_at.empty() && !parse_iso8601(act.expires_at, call.app.zone)) {
            body.wrong("/expires_at", act.expires_at + " is no time; write 2027-01-01");
        }
    });
}

void delete_token(Call& call, Respond respond) {
    Query(call.request).finish();
    submit(call, RevokeToken{call.actor, call.params[0]}, std::move(respond));
}

void post_clock_confirm(Call& call, Respond respond) {
    submit_act<ConfirmClock>(call, std::move(respond),
                             [&](Body& body, ConfirmClock& act) { act.by = by_of(call, body); });
}

namespace {

// The store proves rows; what a compressed file says is proved by opening it.
void prove_files(Proof& verdict, StoreReader& reader) {
    for (const StoredPeriod& period : reader.periods()) {
        for (const PeriodFile& named : period.files) {
            if (!verdict.ok) return;
            try {
                const auto file = reader.period_file(period.row.month, named.name);
                if (file) static_cast<void>(open_sealed(*file));
            } catch (const StoreError& error) {
                verdict.ok = false;
                verdict.first_bad = "period " + period.row.month + ": " + error.what();
            }
        }
    }
}

}  // namespace

Response post_verify(Call& call) {
    Query(call.request).finish();
    Body(call.request.body, call.app.options.limits.json_depth).finish();
    const auto reader = call.app.readers.take();
    Proof verdict = reader->verify([&] { return call.app.stopping.load(); },
                                   [&](AccountBooks& books, const std::function<void()>& breathe) {
                                       return replay_proof(books, call.app.zone, breathe);
                                   });
    prove_files(verdict, *reader.operator->());
    JsonWriter json;
    json.begin_object()
        .field("ok", verdict.ok)
        .field_if("first_bad", verdict.first_bad)
        .field("events", verdict.events)
        .field("entries", verdict.entries)
        .field("readings", verdict.readings)
        .field("lines", verdict.lines)
        .end_object();
    return json_response(json.take());
}

}  // namespace gatehouse::http
