// The event log as server-sent events: each event once, in order of seq, from behind Last-Event-ID
// on. It reads the store only after a commit, and sleeps in between.
#include <charconv>
#include <utility>

#include "daemon/engine/row_documents.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kPageEvents = 256;
constexpr std::size_t kPieceBytes = 64 * 1024;

// A place among the streams; given back when the stream ends, however it ends.
class StreamPlace {
  public:
    explicit StreamPlace(App& app) : app_(app) {
        const std::size_t most = app_.options.limits.event_streams;
        if (app_.event_streams.fetch_add(1) < most) return;
        app_.event_streams.fetch_sub(1);
        Response full =
            problem(429, "event-streams",
                    "All " + std::to_string(most) + " event streams are in use; close one.");
        full.headers.emplace_back("Retry-After", "15");
        throw Refused{std::move(full)};
    }
    ~StreamPlace() { app_.event_streams.fetch_sub(1); }
    StreamPlace(const StreamPlace&) = delete;
    StreamPlace& operator=(const StreamPlace&) = delete;

  private:
    App& app_;
};

class EventStream final : public BodySource {
  public:
    EventStream(App& app, Request caller, std::uint64_t after)
        : app_(app), place_(app), caller_(std::move(caller)), last_(after) {}

    Next next(std::string& piece) override {
        const auto snapshot = app_.engine.snapshot();
        const MonoMs now = app_.clock.mono_ms();
        if (!allowed(*snapshot)) return Next::end;
        // So that a client sees at once that it is connected.
        if (!greeted_) piece += "retry: 3000\n\n";
        greeted_ = true;
        bool more = false;
        if (snapshot->event_seq > last_) {
            const auto rows = app_.readers.take()->events_after(last_, kPageEvents);
            for (const StoredEvent& event : rows) {
                if (piece.size() >= kPieceBytes) break;
                piece += "id: " + std::to_string(event.seq) + "\ndata: ";
                piece += event_json(event, app_.zone);
                piece += "\n\n";
                last_ = event.seq;
            }
            more = !rows.empty() && last_ < snapshot->event_seq;
        }
        if (piece.empty() && now - sent_ >= app_.options.limits.heartbeat_ms) {
            piece += ": nothing new\n\n";
        }
        if (!piece.empty()) sent_ = now;
        return more ? Next::more : Next::wait;
    }

  private:
    // A token that was revoked or has expired is told nothing more, and neither is who logged out
    // or left.
    bool allowed(const Snapshot& snapshot) {
        if (!caller_.cookie.empty())
            return check_person(app_, caller_.cookie, "events:read", snapshot, false).status == 200;
        return caller_.authorization.empty() ||
               app_.authoriser.check(caller_, "events:read", snapshot, app_.readers).status == 200;
    }

    App& app_;
    StreamPlace place_;
    Request caller_;  // without authorization and cookie: the socket
    std::uint64_t last_;
    MonoMs sent_ = 0;
    bool greeted_ = false;
};

std::uint64_t last_had(const std::string& id) {
    std::uint64_t seq = 0;
    const auto [stop, error] = std::from_chars(id.data(), id.data() + id.size(), seq);
    if (error != std::errc{} || stop != id.data() + id.size()) {
        throw Refused{
            problem(400, "query", "Last-Event-ID is no seq of the event log: " + id + ".")};
    }
    return seq;
}

}  // namespace

Response get_event_stream(Call& call) {
    Query query(call.request);
    // Who names no place hears what happens from now on.
    std::uint64_t after = query.number("after", call.snapshot->event_seq, 0, INT64_MAX);
    query.finish();
    // What a browser sends when it connects again is newer than what stands in its address.
    if (!call.request.last_event_id.empty()) after = last_had(call.request.last_event_id);
    Response response;
    response.content_type = "text/event-stream";
    Request caller;
    caller.peer = call.request.peer;
    if (!call.request.local) caller.authorization = call.request.authorization;
    if (!call.person.empty()) caller.cookie = call.request.cookie;
    response.source = std::make_shared<EventStream>(call.app, std::move(caller), after);
    return response;
}

}  // namespace gatehouse::http
