#include "daemon/reload.hpp"

#include <future>
#include <utility>

#include "daemon/config/reload.hpp"

namespace gatehouse {
namespace {

constexpr std::chrono::seconds kEngineWait{10};

std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    return all;
}

std::string first_of(const std::vector<Problem>& problems) {
    if (problems.empty()) return "";
    return ": " + to_string(problems.front()) +
           (problems.size() == 1 ? "" : " (and " + std::to_string(problems.size() - 1) + " more)");
}

// Empty: done. The engine tells the buses of it, as it does of a registry that changed.
std::string tell_engine(Engine& engine, const config::Config& config) {
    const auto promise = std::make_shared<std::promise<Reply>>();
    std::future<Reply> answer = promise->get_future();
    const bool taken =
        engine.submit(ChangeSettings{config.alerts, config.store.store_interval_ms},
                      [promise](Reply reply) { promise->set_value(std::move(reply)); });
    if (!taken || answer.wait_for(kEngineWait) != std::future_status::ready)
        return "the engine takes nothing at the moment; send SIGHUP again";
    const Reply reply = answer.get();
    return reply.kind == ReplyKind::ok ? "" : reply.detail;
}

}  // namespace

Reloaded reload(LiveConfig& live, Engine& engine, http::Server& server) {
    const auto before = live.now();
    config::Loaded loaded = config::load(before->file, config::FileCheck::readable);
    Reloaded result;
    const auto nothing = [&](const std::string& why) {
        result.refused =
            "the settings are still those of before: the last SIGHUP was refused: " + why +
            first_of(loaded.problems);
        result.lines.push_back("SIGHUP: nothing was changed: " + why);
        return result;
    };
    for (const Problem& problem : loaded.problems) result.lines.push_back(to_string(problem));
    if (!loaded.problems.empty()) return nothing("the configuration is wrong");
    const auto after = std::make_shared<const config::Config>(std::move(loaded.config));
    const config::Difference difference = config::compare(*before, *after);
    if (!difference.at_start.empty())
        return nothing("only a restart takes " + joined(difference.at_start) +
                       (difference.changed.empty()
                            ? std::string()
                            : "; with it comes " + joined(difference.changed)));
    std::function<void()> use_certificate;
    try {
        if (!after->http.tls_cert_file.empty())
            use_certificate =
                server.prepare_tls(after->http.tls_cert_file, after->http.tls_key_file);
    } catch (const http::ServerError& error) {
        return nothing(error.what());
    }
    live.set(after);
    if (const std::string why = tell_engine(engine, *after); !why.empty()) {
        live.set(before);
        return nothing(why);
    }
    if (use_certificate) use_certificate();
    server.show_meters(after->http.metrics_meters);
    result.taken = true;
    result.lines.push_back("SIGHUP: " +
                           (difference.changed.empty() ? std::string("no setting changed")
                                                       : "changed " + joined(difference.changed)) +
                           (use_certificate ? "; certificate and key were read again" : ""));
    return result;
}

}  // namespace gatehouse
