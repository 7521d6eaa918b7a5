#include "daemon/http/params.hpp"

#include <algorithm>
#include <charconv>
#include <future>
#include <memory>
#include <utility>

namespace gatehouse::http {

namespace {

constexpr std::chrono::seconds kEngineWait{60};

}  // namespace

std::optional<std::string> Query::text(std::string_view name) {
    // One that is read in two ways is still one.
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) known_.emplace_back(name);
    std::optional<std::string> value;
    for (const auto& [key, text] : request_.query) {
        if (key != name) continue;
        if (value) {
            throw Refused{
                problem(400, "query", "The parameter " + key + " stands there more than once.")};
        }
        value = text;
    }
    // Whoever reads the language has it checked.
    if (name == "lang" && value) check_language(*value);
    return value;
}

std::uint64_t Query::number(std::string_view name, std::uint64_t fallback, std::uint64_t least,
                            std::uint64_t most) {
    const auto given = text(name);
    if (!given) return fallback;
    std::uint64_t value = 0;
    const char* end = given->data() + given->size();
    const auto [stop, error] = std::from_chars(given->data(), end, value);
    if (error != std::errc{} || stop != end || value < least || value > most) {
        throw Refused{problem(400, "query",
                              std::string(name) + "=" + *given + " is no number from " +
                                  std::to_string(least) + " to " + std::to_string(most) + ".")};
    }
    return value;
}

std::uint64_t Query::after_seq() {
    return number("after", 0, 0, INT64_MAX);
}

bool Query::flag(std::string_view name) {
    const auto given = text(name);
    if (!given || *given == "0" || *given == "false") return false;
    if (given->empty() || *given == "1" || *given == "true") return true;
    throw Refused{problem(400, "query", std::string(name) + "=" + *given + " is neither 0 nor 1.")};
}

std::optional<UtcMs> Query::time(std::string_view name, const Zone& zone) {
    const auto given = text(name);
    if (!given) return std::nullopt;
    const auto at = parse_iso8601(*given, zone);
    if (!at) {
        throw Refused{
            problem(400, "query",
                    std::string(name) + "=" + *given +
                        " is no time; write 2026-11-23, or 2026-11-23T20:15:00%2B08:00.")};
    }
    return at;
}

std::optional<UtcMs> Query::through(std::string_view name, const Zone& zone) {
    const auto given = text(name);
    const auto day = given ? parse_date(*given) : std::nullopt;
    if (day) return zone.midnight(date_from_days(days_since_epoch(*day) + 1));
    return time(name, zone);
}

void check_language(const std::string& lang) {
    if (lang == "zh-CN" || lang == "zh" || lang == "en" || lang.empty()) return;
    throw Refused{problem(400, "query",
                          "lang=" + lang +
                              " is neither zh-CN nor en; write one of "
                              "them, or leave it out.")};
}

void Query::finish() {
    for (const auto& [key, value] : request_.query) {
        if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
        // The language of a table's headings may stand in the address of its JSON as well.
        if (key == "lang" && request_.listed) {
            check_language(value);
            continue;
        }
        std::string allowed;
        for (const std::string& name : known_) allowed += allowed.empty() ? name : ", " + name;
        throw Refused{problem(400, "query",
                              "The parameter " + key + " is not known; this route takes " +
                                  (allowed.empty() ? "none" : allowed) + ".")};
    }
}

void submit(Call& call, Command command, Respond respond) {
    const bool taken = call.app.engine.submit(
        std::move(command), [respond](Reply reply) { respond(to_response(std::move(reply))); });
    if (!taken) {
        throw Refused{problem(503, "busy",
                              "The engine takes nothing more at the moment; nothing was done. "
                              "Ask again in a second.")};
    }
}

void ask_engine(Call& call, Command command) {
    const auto promise = std::make_shared<std::promise<Reply>>();
    std::future<Reply> answer = promise->get_future();
    const bool taken = call.app.engine.submit(
        std::move(command), [promise](Reply reply) { promise->set_value(std::move(reply)); });
    if (!taken || answer.wait_for(kEngineWait) != std::future_status::ready) {
        throw Refused{problem(503, "busy",
                              "The engine takes nothing more at the moment. Ask again in a "
                              "second; what was begun goes on.")};
    }
    Reply reply = answer.get();
    const bool done = reply.kind == ReplyKind::ok || reply.kind == ReplyKind::created;
    if (!done) throw Refused{to_response(std::move(reply))};
}

}  // namespace gatehouse::http
