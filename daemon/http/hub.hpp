// What all sessions share on the io_context thread: the wait for an answer that comes from another
// thread, the list of open sessions, and the hand-over of a request to its handler.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "daemon/http/app.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// Where an answer lands that may come late, twice, or after the server has gone: by number, so
// that nothing dangles. Shared by the hub and by the replies that are still owed.
struct Gate {
    std::mutex mutex;
    boost::asio::io_context* context = nullptr;  // null once the server has gone
};

// One request that waits. Lives in its session's coroutine; io_context thread only.
struct Waiting {
    explicit Waiting(boost::asio::io_context& context) : wake(context) {}
    std::optional<Response> response;
    boost::asio::steady_timer wake;
};

// One open session as the hub sees it when it stops.
struct SessionHandle {
    std::function<void()> close;  // ends what it waits for
    bool idle = true;             // between two requests
};

// A piece of a streamed body comes as an answer whose status is one of these.
inline constexpr int kPieceMore = 1, kPieceWait = 2, kPieceEnd = 3;

class Hub {
  public:
    Hub(App& app, boost::asio::io_context& context);

    // Registers `waiting` and returns what answers it, from any thread, once.
    [[nodiscard]] Respond expect(Waiting& waiting, std::uint64_t& id);
    void forget(std::uint64_t id);

    // Authorisation and handler on the pool (or here); false: too many wait, nothing was started.
    [[nodiscard]] bool authorise(const Route& route, std::shared_ptr<Request> request,
                                 Respond respond);
    [[nodiscard]] bool handle(const Route& route, std::vector<std::string> params,
                              std::shared_ptr<Request> request, std::string actor, Respond respond);

    // The source's next piece, made on an export thread; those never refuse, because no session
    // has more than one piece in the making.
    void produce(std::shared_ptr<BodySource> source, Respond respond);

    // Counts commits, so that a stream which looked before one does not sleep through it.
    std::uint64_t commits = 0;
    std::list<boost::asio::steady_timer*> sleepers;  // streams that wait for the next one
    void commit_came();                              // from any thread, must not block
    std::list<SessionHandle*> sessions;
    App& app;
    boost::asio::io_context& context;

    void stop_pool();  // joins
    void close_gate();

  private:
    void run(const Route& route, std::vector<std::string> params, const Request& request,
             std::string actor, const Respond& respond);
    [[nodiscard]] bool post(boost::asio::thread_pool& pool, std::function<void()> job);

    std::shared_ptr<Gate> gate_;
    std::map<std::uint64_t, Waiting*> waiting_;
    std::uint64_t next_id_ = 1;
    std::atomic<std::size_t> queued_{0};
    boost::asio::thread_pool pool_;
    boost::asio::thread_pool exports_;
    std::atomic<bool> commit_told_{false};
};

}  // namespace gatehouse::http
