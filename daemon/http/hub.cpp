#include "daemon/http/hub.hpp"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "daemon/http/precondition.hpp"
#include "daemon/http/roles.hpp"

namespace gatehouse::http {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kPersonActor = "staff:";

// A status of 0 is no answer to a peer but "go on": the actor stands in the body.
Response go_on(std::string actor) {
    return {0, std::move(actor), {}, {}};
}

Response too_fast(std::int64_t wait_ms) {
    const std::string seconds = std::to_string(wait_ms / 1'000 + 1);
    Response response =
        problem(429, "rate", "Too many requests; go on in " + seconds + " seconds.");
    response.headers.emplace_back("Retry-After", seconds);
    return response;
}

// A page of another site may have the browser send the cookie; it cannot add a header, and its
// origin is not this host.
bool is_foreign(const Request& request) {
    if (request.method != "GET" && request.guard.empty()) return true;
    if (request.origin.empty()) return false;
    const std::size_t host = request.origin.find("://");
    return host == std::string::npos || request.origin.substr(host + 3) != request.host;
}

Authoriser::Verdict check_request(App& app, const Route& route, const Request& request,
                                  const Snapshot& snapshot) {
    const char* scope = route.people != nullptr ? route.people : route.scope;
    Authoriser::Verdict verdict = check_person(app, request.cookie, scope, snapshot, true);
    if (verdict.actor.empty() || !is_foreign(request)) return verdict;
    return {403,
            "What changes anything needs the header X-Gatehouse-Request: 1 and comes from a "
            "page of this host.",
            verdict.actor, "foreign"};
}

Response store_problem(const StoreError& error) {
    return problem(503, "store", std::string("The books cannot be read: ") + error.what());
}

}  // namespace

Hub::Hub(App& app_, asio::io_context& context_)
    : app(app_),
      context(context_),
      gate_(std::make_shared<Gate>()),
      pool_(app_.options.limits.reader_threads),
      exports_(app_.options.limits.export_threads) {
    gate_->context = &context;
}

Respond Hub::expect(Waiting& waiting, std::uint64_t& id) {
    id = next_id_++;
    waiting_[id] = &waiting;
    return [this, gate = gate_, number = id](Response response) {
        const std::lock_guard lock(gate->mutex);
        if (gate->context == nullptr) return;
        asio::post(*gate->context, [this, number, answer = std::move(response)]() mutable {
            const auto found = waiting_.find(number);
            if (found == waiting_.end() || found->second->response) return;
            found->second->response = std::move(answer);
            found->second->wake.cancel();
        });
    };
}

void Hub::forget(std::uint64_t id) {
    waiting_.erase(id);
}

bool Hub::post(asio::thread_pool& pool, std::function<void()> job) {
    if (queued_.fetch_add(1) >= app.options.limits.waiting_requests) {
        queued_.fetch_sub(1);
        return false;
    }
    asio::post(pool, [this, work = std::move(job)] {
        queued_.fetch_sub(1);
        work();
    });
    return true;
}

bool Hub::authorise(const Route& route, std::shared_ptr<Request> request, Respond respond) {
    return post(pool_, [this, &route, request, respond] {
        try {
            const auto snapshot = app.engine.snapshot();
            const bool person = request->authorization.empty() && !request->cookie.empty();
            const auto verdict =
                person ? check_request(app, route, *request, *snapshot)
                       : app.authoriser.check(*request, route.scope, *snapshot, app.readers);
            const std::string& who = verdict.actor.empty() ? request->peer : verdict.actor;
            if (const std::int64_t wait_ms = app.rate.take(who, app.clock.mono_ms()); wait_ms > 0)
                return respond(too_fast(wait_ms));
            if (verdict.status != 200) {
                Response response = problem(verdict.status,
                                            !verdict.type.empty()   ? verdict.type.c_str()
                                            : verdict.status == 401 ? "unauthenticated"
                                                                    : "scope",
                                            verdict.detail);
                if (verdict.status == 401) {
                    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"gatehouse\"");
                }
                return respond(std::move(response));
            }
            if (!person && app.authoriser.note_use(verdict.actor, app.clock.mono_ms())) {
                // A last use that is not noted is noted a minute later.
                (void)app.engine.submit(TouchToken{verdict.actor}, [](Reply) {});
            }
            respond(go_on(verdict.actor));
        } catch (const StoreError& error) {
            respond(store_problem(error));
        } catch (const std::exception& error) {
            respond(problem(500, "internal", error.what()));
        }
    });
}

void Hub::run(const Route& route, std::vector<std::string> params, const Request& request,
              std::string actor, const Respond& respond) {
    try {
        std::string person =
            actor.starts_with(kPersonActor) ? actor.substr(kPersonActor.size()) : std::string();
        Call call{app,
                  request,
                  std::move(params),
                  std::move(actor),
                  std::move(person),
                  app.engine.snapshot()};
        check_if_match(route, call);
        if (request.format != Format::json) {
            respond(route.table(call));
        } else if (route.handler != nullptr) {
            Response response = route.handler(call);
            // Lists go as files as well, and much goes as a page to be printed.
            if (request.method == "GET") response.headers.emplace_back("Vary", "Accept");
            put_etag(route, request, response);
            respond(std::move(response));
        } else {
            route.long_handler(call, respond);
        }
    } catch (Refused& refused) {
        respond(std::move(refused.response));
    } catch (const StoreError& error) {
        respond(store_problem(error));
    } catch (const std::exception& error) {
        respond(problem(500, "internal", error.what()));
    }
}

bool Hub::handle(const Route& route, std::vector<std::string> params,
                 std::shared_ptr<Request> request, std::string actor, Respond respond) {
    if (route.runs == Runs::io) {
        run(route, std::move(params), *request, std::move(actor), respond);
        return true;
    }
    // A workbook takes its time; questions that take none do not wait behind it.
    asio::thread_pool& pool = request->format == Format::json ? pool_ : exports_;
    return post(pool, [this, &route, params = std::move(params), request, actor = std::move(actor),
                       respond] { run(route, params, *request, actor, respond); });
}

void Hub::produce(std::shared_ptr<BodySource> source, Respond respond) {
    asio::post(exports_, [source = std::move(source), respond = std::move(respond)] {
        Response piece = go_on({});
        try {
            switch (source->next(piece.body)) {
                case BodySource::Next::more:
                    piece.status = kPieceMore;
                    break;
                case BodySource::Next::wait:
                    piece.status = kPieceWait;
                    break;
                case BodySource::Next::end:
                    piece.status = kPieceEnd;
                    break;
            }
        } catch (const std::exception&) {
            // The header has gone out, so that nothing can be said; the missing end says it.
            piece = go_on({});
        }
        respond(std::move(piece));
    });
}

void Hub::commit_came() {
    // Commits come faster than streams look: one message on its way is enough.
    if (commit_told_.exchange(true)) return;
    const std::lock_guard lock(gate_->mutex);
    if (gate_->context == nullptr) return;
    asio::post(*gate_->context, [this] {
        commit_told_ = false;
        ++commits;
        for (asio::steady_timer* sleeper : sleepers) sleeper->cancel();
    });
}

void Hub::stop_pool() {
    pool_.join();
    exports_.join();
}

void Hub::close_gate() {
    const std::lock_guard lock(gate_->mutex);
    gate_->context = nullptr;
}

}  // namespace gatehouse::http
