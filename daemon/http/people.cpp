// People who log in: sessions in a cookie, the first account by the setup code, passwords, and the
// codes by which a second person agrees to an act.
#include <algorithm>
#include <memory>
#include <utility>

#include "daemon/http/act.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/roles.hpp"

namespace gatehouse::http {

namespace {

const Staff* find_staff(const Snapshot& snapshot, const std::string& id) {
    const auto& all = snapshot.registry->staff;
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Staff& one) { return one.staff == id; });
    return found == all.end() ? nullptr : &*found;
}

bool is_active(const Staff& staff, const Call& call) {
    const LocalDate today = call.app.zone.local(call.snapshot->now_ms).date;
    return !staff.active_to || today <= *staff.active_to;
}

const Staff& logged_in(const Call& call) {
    const Staff* staff = find_staff(*call.snapshot, call.person);
    if (staff == nullptr)
        throw Refused{problem(409, "no-session",
                              "This is for people who are logged in. Log in with POST "
                              "/api/v1/session.")};
    return *staff;
}

std::string session_json(const Staff& staff) {
    JsonWriter json;
    json.begin_object().field("staff", staff.staff).field("name", staff.name);
    json.key("roles").begin_array();
    for (const StaffRole role : staff.roles) json.value(to_string(role));
    json.end_array().key("scopes").begin_array();
    for (const std::string_view scope : scopes_of(staff.roles)) json.value(scope);
    json.end_array()
        .field("idle_s", kSessionIdleMs / 1'000)
        .field("ends_after_s", kSessionMs / 1'000)
        .end_object();
    return json.take();
}

std::string cookie_text(const std::string& secret) {
    return std::string(kSessionCookie) + "=" + secret +
           "; Path=/; Secure; HttpOnly; SameSite=Strict" + (secret.empty() ? "; Max-Age=0" : "");
}

Response slow_down(std::int64_t wait_ms) {
    Response response = problem(429, "attempts",
                                "Too many attempts failed; the next one may come in " +
                                    std::to_string(wait_ms / 1'000 + 1) + " seconds.");
    response.headers.emplace_back("Retry-After", std::to_string(wait_ms / 1'000 + 1));
    return response;
}

void check_logins(Call& call) {
    if (call.request.local) return;
    if (const std::int64_t wait_ms =
            call.app.logins.take(call.request.peer, call.app.clock.mono_ms());
        wait_ms > 0)
        throw Refused{slow_down(wait_ms)};
}

Response hashing_busy() {
    Response response =
        problem(503, "busy", "Too many people log in at once; try again in some seconds.");
    response.headers.emplace_back("Retry-After", "3");
    return response;
}

// One answer for every reason, so that nobody learns who has a password.
Response not_you() {
    return problem(401, "login", "That staff and password do not belong together.");
}

std::string hash_of(Call& call, const std::string& staff) {
    for (PasswordRow& row : call.app.readers.take()->passwords())
        if (row.staff == staff) return std::move(row.hash);
    return {};
}

void check_password(Call& call, Body& body, const std::string& staff, const std::string& password) {
    if (std::string fault = password_fault(password, staff, call.app.options.site_name);
        !fault.empty())
        body.wrong("/password", std::move(fault));
}

// Hashes, has the engine keep it, and ends what was open under the old one.
void keep_password(App& app, const std::string& actor, const std::string& staff,
                   const std::string& password, std::function<void(Reply)> done) {
    const bool taken = app.hasher.make(password, [&app, actor, staff, done](std::string hash) {
        if (hash.empty())
            return done({ReplyKind::unavailable, "", "busy", "no memory for hashing", {}});
        const bool submitted = app.engine.submit(SetPassword{actor, staff, std::move(hash)},
                                                 [&app, staff, done](Reply reply) {
                                                     if (reply.kind == ReplyKind::ok)
                                                         app.sessions.close_all(staff);
                                                     done(std::move(reply));
                                                 });
        if (!submitted) done({ReplyKind::unavailable, "", "busy", "ask again in a second", {}});
    });
    if (!taken) throw Refused{hashing_busy()};
}

}  // namespace

void post_session(Call& call, Respond respond) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    const std::string id = body.required_text("staff");
    const std::string password = body.required_text("password");
    body.finish();
    check_logins(call);
    const Staff* staff = find_staff(*call.snapshot, id);
    const bool may_log_in = staff != nullptr && is_active(*staff, call);
    const std::string key = "login " + id + " " + call.request.peer;
    if (const std::int64_t wait_ms = call.app.attempts.begin(key, call.app.clock.mono_ms());
        wait_ms > 0)
        throw Refused{slow_down(wait_ms)};
    const std::string answer = may_log_in ? session_json(*staff) : std::string();
    const bool taken = call.app.hasher.verify(
        may_log_in ? hash_of(call, id) : std::string(), password,
        [&app = call.app, id, key, password, answer, respond](bool same, bool stale) {
            if (!same) return respond(not_you());
            app.attempts.succeeded(key);
            Response response = json_response(answer, 201);
            response.headers.emplace_back("Set-Cookie",
                                          cookie_text(app.sessions.open(id, app.clock.mono_ms())));
            respond(std::move(response));
            // Made at a lower cost than today's: hashed anew while the password is at hand.
            if (stale)
                static_cast<void>(app.hasher.make(password, [&app, id](std::string hash) {
                    if (!hash.empty())
                        static_cast<void>(app.engine.submit(
                            SetPassword{"local", id, std::move(hash)}, [](Reply) {}));
                }));
        });
    if (!taken) throw Refused{hashing_busy()};
}

Response get_session(Call& call) {
    Query(call.request).finish();
    if (!call.person.empty()) return json_response(session_json(logged_in(call)));
    JsonWriter json;
    json.begin_object().field("staff", std::optional<std::string>()).field("actor", call.actor);
    json.end_object();
    return json_response(json.take());
}

Response delete_session(Call& call) {
    Query(call.request).finish();
    static_cast<void>(logged_in(call));
    call.app.sessions.close(call.request.cookie);
    Response response = json_response("{}");
    response.headers.emplace_back("Set-Cookie", cookie_text(""));
    return response;
}

Response post_approval(Call& call) {
    Query(call.request).finish();
    Body(call.request.body, call.app.options.limits.json_depth).finish();
    const Staff& staff = logged_in(call);
    if (!may(staff.roles, kMoneyWrite) && !may(staff.roles, "meters:write"))
        throw Refused{problem(403, "scope", "Your roles agree to no act of others.")};
    JsonWriter json;
    json.begin_object()
        .field("code", call.app.sessions.approve(staff.staff, call.app.clock.mono_ms()))
        .field("staff", staff.staff)
        .field("ends_after_s", kApprovalMs / 1'000)
        .end_object();
    return json_response(json.take(), 201);
}

namespace {

// Whose code that is, which belongs to this request from then on; nothing where none holds. Guesses
// are slowed down.
std::optional<std::string> agreed_by(Call& call, const std::string& code) {
    if (code.empty()) return std::nullopt;
    const std::string key = "approval " + call.person;
    const MonoMs now = call.app.clock.mono_ms();
    if (const std::int64_t wait_ms = call.app.attempts.begin(key, now); wait_ms > 0)
        throw Refused{slow_down(wait_ms)};
    // Without a key the same words to the same path are the same act, which is done once by nature.
    std::string request = call.person;
    if (call.request.idempotency_key) {
        request += " " + *call.request.idempotency_key;
    } else {
        for (const std::string& segment : call.request.segments) request += "/" + segment;
        request += " " + sha256_hex(call.request.body);
    }
    const auto staff = call.app.sessions.take_approval(code, request, now);
    if (staff) call.app.attempts.succeeded(key);
    return staff;
}

}  // namespace

Signed two_of(Call& call, Body& body) {
    Signed people{by_of(call, body), {}, call.actor};
    if (call.person.empty()) {
        people.second = body.required_text("second");
        return people;
    }
    const std::string second = body.text("second");
    const std::string code = body.text("approval");
    const auto agreed = agreed_by(call, code);
    if (!agreed) {
        body.wrong("/approval", code.empty()
                                    ? "is missing: the second person asks for a code with POST "
                                      "/api/v1/session/approvals and tells it to you"
                                    : "is no code that holds; they hold once and for two minutes");
        return people;
    }
    if (!second.empty() && second != *agreed)
        body.wrong("/second", "the code is that of " + *agreed);
    people.second = *agreed;
    people.actor += "+" + *agreed;
    return people;
}

Response get_setup(Call& call) {
    Query(call.request).finish();
    JsonWriter json;
    json.begin_object().field("needed", call.app.readers.take()->passwords().empty()).end_object();
    return json_response(json.take());
}

void post_setup(Call& call, Respond respond) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    const std::string code = body.required_text("code");
    const std::string id = body.required_text("staff");
    const std::string password = body.required_text("password");
    check_password(call, body, id, password);
    body.finish();
    check_logins(call);
    const MonoMs now = call.app.clock.mono_ms();
    if (const std::int64_t wait_ms = call.app.attempts.begin("setup " + call.request.peer, now);
        wait_ms > 0)
        throw Refused{slow_down(wait_ms)};
    if (!call.app.setup.matches(code, now) || !call.app.readers.take()->passwords().empty())
        throw Refused{problem(403, "setup",
                              "The setup code does not hold. It stands in the journal of the start "
                              "of a house where nobody has a password, for 24 hours.")};
    const Staff* staff = find_staff(*call.snapshot, id);
    if (staff == nullptr || !may(staff->roles, kPeopleWrite))
        throw Refused{problem(422, "invalid", "The first account is an administrator's.",
                              {{"/staff", id + " has not the role admin in staff.csv"}})};
    keep_password(call.app, "setup", id, password, [&app = call.app, respond](Reply reply) {
        if (reply.kind == ReplyKind::ok) app.setup.end();
        respond(to_response(std::move(reply)));
    });
}

Response get_staff(Call& call) {
    Query query(call.request);
    const auto passwords = call.app.readers.take()->passwords();
    return list_rows(
        call.snapshot->registry->staff, query, [](const Staff& staff) { return staff.staff; },
        [](const Staff&) { return true; },
        [&](const Staff& staff) {
            const auto has =
                std::find_if(passwords.begin(), passwords.end(),
                             [&](const PasswordRow& row) { return row.staff == staff.staff; });
            JsonWriter json;
            json.begin_object().field("staff", staff.staff).field("name", staff.name);
            json.key("roles").begin_array();
            for (const StaffRole role : staff.roles) json.value(to_string(role));
            json.end_array()
                .field("active", is_active(staff, call))
                .field("password", has != passwords.end());
            if (has != passwords.end())
                json.field("password_changed_at", format_iso8601(has->changed_at, call.app.zone));
            json.end_object();
            return json.take();
        });
}

// One's own with the old one; another's by an administrator.
void post_password(Call& call, Respond respond) {
    Query(call.request).finish();
    const std::string id = call.params[0];
    Body body(call.request.body, call.app.options.limits.json_depth);
    const std::string password = body.required_text("password");
    const bool own = !call.person.empty() && call.person == id;
    const std::string current = own ? body.required_text("current") : std::string();
    check_password(call, body, id, password);
    body.finish();
    if (find_staff(*call.snapshot, id) == nullptr)
        throw Refused{problem(404, "not-found", "No staff " + id + " stands in staff.csv.")};
    const auto answer = [respond](Reply reply) { respond(to_response(std::move(reply))); };
    if (!own) {
        if (!call.person.empty() && !may(logged_in(call).roles, kPeopleWrite))
            throw Refused{problem(403, "scope", "Passwords of others are the administrator's.")};
        return keep_password(call.app, call.actor, id, password, answer);
    }
    const std::string key = "login " + id + " " + call.request.peer;
    if (const std::int64_t wait_ms = call.app.attempts.begin(key, call.app.clock.mono_ms());
        wait_ms > 0)
        throw Refused{slow_down(wait_ms)};
    const bool taken = call.app.hasher.verify(
        hash_of(call, id), current,
        [&app = call.app, actor = call.actor, id, key, password, respond, answer](bool same, bool) {
            if (!same) return respond(not_you());
            app.attempts.succeeded(key);
            try {
                keep_password(app, actor, id, password, answer);
            } catch (Refused& refused) {
                respond(std::move(refused.response));
            }
        });
    if (!taken) throw Refused{hashing_busy()};
}

void delete_password(Call& call, Respond respond) {
    Query(call.request).finish();
    const std::string id = call.params[0];
    const bool taken = call.app.engine.submit(SetPassword{call.actor, id, ""},
                                              [&app = call.app, id, respond](Reply reply) {
                                                  if (reply.kind == ReplyKind::ok)
                                                      app.sessions.close_all(id);
                                                  respond(to_response(std::move(reply)));
                                              });
    if (!taken) throw Refused{problem(503, "busy", "Nothing was done; ask again in a second.")};
}

}  // namespace gatehouse::http
