// Cabinets over real sockets: the simulated one through the service, killed and started again; a
// board that this project did not write; and a line on which strangers talk.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "drivers/cabinet/cabinet_service.hpp"
#include "drivers/simulator/building.hpp"
#include "drivers/simulator/line.hpp"
#include "tests/drivers/peer.hpp"
#include "tests/integration/cabinet/fixture.hpp"

using namespace gatehouse;
using namespace gatehouse::cabinet;

namespace {

class RealClock final : public Clock {
  public:
    [[nodiscard]] MonoMs mono_ms() const override { return read(CLOCK_MONOTONIC); }
    [[nodiscard]] UtcMs wall_ms() const override { return read(CLOCK_REALTIME); }

  private:
    static std::int64_t read(clockid_t id) {
        timespec now{};
        ::clock_gettime(id, &now);
        return now.tv_sec * 1'000 + now.tv_nsec / 1'000'000;
    }
};
const RealClock kClock;

// A simulated cabinet behind a port of its own, on a thread of its own.
class House {
  public:
    House(simulator::CabinetSpec spec, modbus::Transport transport, int port = 0) {
        simulator::Site site;
        simulator::BusSpec bus;
        bus.id = "kc";
        bus.settings.transport = transport;
        bus.settings.host = "127.0.0.1";
        bus.settings.baud = 0;
        site.buses.push_back(bus);
        site.cabinets.push_back(std::move(spec));
        simulator::BuildingSettings settings;
        settings.epoch_ms = kClock.wall_ms();
        building_ = std::make_unique<simulator::Building>(
            site, [](const std::string&, std::string*) { return nullptr; }, settings);
        simulator::LineSettings line;
        line.port = port;
        const MonoMs started = kClock.mono_ms();
        now_ = [started] { return kClock.mono_ms() - started; };
        auto opened = simulator::open_line(context_, *building_, line, now_);
        REQUIRE(opened.problem.empty());
        line_ = std::move(opened.line);
        const std::string where = line_->where();
        port_ = std::stoi(where.substr(where.rfind(':') + 1));
        thread_ = std::thread([this] { context_.run(); });
    }
    ~House() {
        work_.reset();
        boost::asio::post(context_, [this] {
            line_->close();
            context_.stop();
        });
        thread_.join();
    }
    House(const House&) = delete;
    House& operator=(const House&) = delete;

    template <class What>
    void with_cabinet(What what) {
        std::atomic<bool> done{false};
        boost::asio::post(context_, [&] {
            what(*building_->find_cabinet("kc-01"), now_());
            done = true;
        });
        while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    void act(const std::string& what) {
        std::string problem;
        with_cabinet([&](simulator::Cabinet& cabinet, std::int64_t now) {
            problem = cabinet.act(what, now);
        });
        INFO(what);
        CHECK(problem.empty());
    }
    [[nodiscard]] int port() const { return port_; }

  private:
    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        context_.get_executor()};
    std::unique_ptr<simulator::Building> building_;
    simulator::Line::Now now_;
    std::unique_ptr<simulator::Line> line_;
    int port_ = 0;
    std::thread thread_;
};

CabinetSettings settings_of(const std::string& profile, modbus::Transport transport, int port) {
    CabinetSettings settings;
    settings.id = "kc-01";
    settings.bus.transport = transport;
    settings.bus.host = "127.0.0.1";
    settings.bus.port = port;
    settings.bus.baud = 0;
    settings.profile = shipped(profile);
    settings.response_timeout_ms = 200;
    return settings;
}

// What the sinks were told; commits as the test says.
struct Desk {
    std::mutex mutex;
    std::condition_variable changed;
    Books books;
    std::vector<CabinetSeen> seen;
    std::function<void(const KeyPush&, const PushDone&)> take = [this](const KeyPush& push,
                                                                       const PushDone& done) {
        books.keep(push);
        done(true);
    };

    PushSink push_sink() {
        return [this](KeyPush push, PushDone done) {
            const std::lock_guard lock(mutex);
            take(push, done);
            changed.notify_all();
        };
    }
    SeenSink seen_sink() {
        return [this](CabinetSeen one) {
            const std::lock_guard lock(mutex);
            seen.push_back(std::move(one));
            changed.notify_all();
        };
    }
    template <class Done>
    bool wait(Done done, int seconds = 20) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, std::chrono::seconds(seconds), done);
    }
};

class PymodbusBoard {
  public:
    explicit PymodbusBoard(int port) {
        std::array<int, 2> out{}, in{};
        REQUIRE(::pipe(out.data()) == 0);
        REQUIRE(::pipe(in.data()) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(out[1], STDOUT_FILENO);
            ::dup2(in[0], STDIN_FILENO);
            for (const int fd : {out[0], out[1], in[0], in[1]}) ::close(fd);
            ::execl("/usr/bin/python3", "python3", GATEHOUSE_PYMODBUS_BOARD,
                    std::to_string(port).c_str(), nullptr);
            ::_exit(127);
        }
        ::close(out[1]);
        ::close(in[0]);
        output_ = out[0];
        input_ = in[1];
        std::array<char, 64> line{};
        REQUIRE(::read(output_, line.data(), line.size() - 1) > 0);
        REQUIRE(std::string(line.data()).find("ready") == 0);
    }
    ~PymodbusBoard() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ::close(output_);
        ::close(input_);
    }
    PymodbusBoard(const PymodbusBoard&) = delete;
    PymodbusBoard& operator=(const PymodbusBoard&) = delete;
    void signal(int number) const { ::kill(pid_, number); }
    void set(const std::string& levels) const {
        const std::string line = levels + "\n";
        REQUIRE(::write(input_, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    }

  private:
    pid_t pid_ = -1;
    int output_ = -1, input_ = -1;
};

}  // namespace

TEST_CASE("killed and started again over Modbus TCP: each event of the board once, in order") {
    House house(board_of(24), modbus::Transport::tcp);
    std::mt19937 dice(7);
    Books books;
    std::int64_t run = 0;
    int floods = 0;
    for (int life = 0; life < 25; ++life) {
        Desk desk;
        // Kept and told, kept and never told, told that it was not, not kept and never told.
        desk.take = [&](const KeyPush& push, const PushDone& done) {
            const auto fate = dice() % 4;
            if (fate <= 1) books.keep(push);
            if (fate == 0) done(true);
            if (fate == 2) done(false);
        };
        house.act("flood 6");
        ++floods;
        CabinetService service(kClock, ++run, desk.push_sink(), desk.seen_sink());
        service.start({settings_of("kcm-1", modbus::Transport::tcp, house.port())});
        std::this_thread::sleep_for(std::chrono::milliseconds(40 + dice() % 160));
    }
    Desk desk;
    desk.take = [&](const KeyPush& push, const PushDone& done) {
        books.keep(push);
        done(true);
    };
    CabinetService service(kClock, ++run, desk.push_sink(), desk.seen_sink());
    service.start({settings_of("kcm-1", modbus::Transport::tcp, house.port())});
    CHECK(desk.wait([&] { return books.last(KeyEventType::inventory) != nullptr; }));
    service.stop();
    const auto seqs = books.seqs("kc-01");
    CHECK(seqs.size() == 6U * static_cast<std::size_t>(floods));
    for (std::size_t i = 0; i < seqs.size(); ++i)
        CHECK(seqs[i] == static_cast<std::int64_t>(i) + 1);
    WARN(seqs.size() << " events, " << books.again << " came again");
}

TEST_CASE("RTU over TCP: power away and back is offline, online, a new boot and an inventory") {
    House house(board_of(8), modbus::Transport::rtu_over_tcp);
    Desk desk;
    CabinetService service(kClock, 1, desk.push_sink(), desk.seen_sink());
    CabinetSettings settings = settings_of("kcm-1", modbus::Transport::rtu_over_tcp, house.port());
    settings.poll_interval_ms = 100;
    service.start({settings});
    REQUIRE(desk.wait([&] { return desk.books.last(KeyEventType::inventory) != nullptr; }));
    CHECK(desk.seen.front().online);
    house.act("power off");
    REQUIRE(desk.wait([&] { return !desk.seen.back().online; }));
    CHECK(service.status().front().reason == "no reply in time");
    house.act("take 2");
    house.act("power on");
    CHECK(desk.wait([&] {
        const KeyEvent* stock = desk.books.last(KeyEventType::inventory);
        return desk.seen.back().online && stock->present.size() == 7;
    }));
    CHECK(desk.books.last(KeyEventType::boot)->id.boot == 2);
    service.stop();
}

TEST_CASE("contacts of the simulated cabinet bounce, and its truth is what the box concludes") {
    simulator::CabinetSpec spec;
    spec.id = "kc-01";
    spec.board = false;
    spec.inputs = {1, 2, 3, 4, 5, 6, 7, 0};
    spec.inverted.resize(8);
    spec.door_input = 7;
    spec.door_inverted = true;
    for (int slot = 1; slot <= 7; ++slot) spec.slots[slot] = 0;
    House house(spec, modbus::Transport::tcp);
    Desk desk;
    CabinetService service(kClock, 3, desk.push_sink(), desk.seen_sink());
    CabinetSettings settings =
        settings_of("waveshare-di8-door", modbus::Transport::tcp, house.port());
    settings.poll_interval_ms = 60;  // shorter than the bounce
    service.start({settings});
    REQUIRE(desk.wait([&] { return desk.books.last(KeyEventType::inventory) != nullptr; }));
    std::vector<std::string> done{"inventory"};
    const auto act = [&](const std::string& what, const std::string& event) {
        house.act(what);
        done.push_back(event);
        CHECK(desk.wait([&] { return desk.books.order.size() >= done.size(); }));
    };
    act("open", "door.opened");
    for (int slot = 1; slot <= 7; ++slot) act("take " + std::to_string(slot), "key.removed");
    for (int slot = 1; slot <= 7; ++slot) act("bring " + std::to_string(slot), "key.returned");
    act("close", "door.closed");
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    service.stop();
    REQUIRE(desk.books.order.size() == done.size());
    for (std::size_t i = 0; i < done.size(); ++i) {
        CHECK(desk.books.order[i].word == done[i]);
        CHECK(desk.books.order[i].id == KeyEventId{"kc-01", 3, static_cast<std::int64_t>(i) + 1});
    }
}

TEST_CASE("a board that this project did not write: Debian's python3-pymodbus") {
    int port = 0;
    {
        const House house(board_of(1), modbus::Transport::tcp);
        port = house.port();  // free again now
    }
    Desk desk;
    CabinetService service(kClock, 8, desk.push_sink(), desk.seen_sink());
    const PymodbusBoard board(port);
    service.start({settings_of("waveshare-di8", modbus::Transport::tcp, port)});
    REQUIRE(desk.wait([&] { return !desk.books.order.empty(); }));
    CHECK(desk.books.order[0].present == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8});
    board.set("11011111");
    REQUIRE(desk.wait([&] { return desk.books.order.size() == 2; }));
    CHECK(desk.books.order[1].type == KeyEventType::key_removed);
    CHECK(desk.books.order[1].slot == 3);
    // It hangs, and answers all that it was asked once it goes on: replies that nobody awaits.
    board.signal(SIGSTOP);
    REQUIRE(desk.wait([&] { return !desk.seen.back().online; }));
    board.set("11111110");
    board.signal(SIGCONT);
    REQUIRE(desk.wait([&] { return desk.books.order.size() >= 3 && desk.seen.back().online; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(1'000));
    service.stop();
    REQUIRE(desk.books.order.size() == 3);
    CHECK(desk.books.order[2].type == KeyEventType::inventory);
    CHECK(desk.books.order[2].present == std::vector<int>{1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("strangers on the line are counted and make no event") {
    // A lock board of another make says unasked that a door moved, and a wrong unit answers too.
    const modbus::Bytes stranger{0x57, 0x4B, 0x4C, 0x59, 0x0A, 0x01, 0x85, 0x04, 0x00, 0xCE};
    std::atomic<int> asked{0};
    modbus::Peer peer(modbus::FrameKind::rtu, [&](const modbus::Peer::Asked&) {
        const int number = ++asked;
        const modbus::Bytes good = modbus::rtu({1, 2, 1, 0xFF});
        std::vector<modbus::Peer::Piece> pieces;
        if (number % 5 == 3) pieces.push_back({stranger, 0});  // instead of the reply
        if (number % 5 == 4) pieces.push_back({modbus::rtu({2, 2, 1, 0x00}), 0});
        if (number % 5 == 0)
            pieces.push_back({modbus::Bytes{0x01, 0x02, 0x01, 0x00, 0x12, 0x34}, 0});
        if (pieces.empty()) pieces.push_back({good, 2});
        if (number % 5 == 1) pieces.push_back({stranger, 5});  // after it, unasked
        return pieces;
    });
    const int port = peer.listen();
    Desk desk;
    CabinetService service(kClock, 1, desk.push_sink(), desk.seen_sink());
    CabinetSettings settings = settings_of("waveshare-di8", modbus::Transport::rtu_over_tcp, port);
    settings.poll_interval_ms = 50;
    settings.response_timeout_ms = 50;
    service.start({settings});
    for (int i = 0; i < 6'000 && asked < 15; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(asked >= 15);
    const CabinetStatus status = service.status().front();
    service.stop();
    CHECK(desk.books.order.size() == 1);  // the inventory
    CHECK(status.online);
    CHECK(status.counts.foreign_frames + status.counts.checksums >= 3);
    CHECK(status.counts.unsolicited_bytes >= stranger.size());
}

TEST_CASE("a cabinet without a usable profile is offline with its reason, and the others go on") {
    House house(board_of(4), modbus::Transport::tcp);
    Desk desk;
    CabinetService service(kClock, 1, desk.push_sink(), desk.seen_sink());
    CabinetSettings broken = settings_of("kcm-1", modbus::Transport::tcp, house.port());
    broken.id = "kc-02";
    broken.profile = nullptr;
    broken.problem = "profile x is broken: x.toml:1:1: it has no [[test]]";
    service.start({broken, settings_of("kcm-1", modbus::Transport::tcp, house.port())});
    REQUIRE(desk.wait([&] { return desk.seen.size() >= 2; }));
    CHECK(desk.seen[0].cabinet == "kc-02");
    CHECK(desk.seen[0].reason == broken.problem);
    CHECK(desk.wait([&] { return !desk.books.order.empty(); }));
    std::atomic<bool> set{false};
    const auto order = [&](const char* cabinet) {
        return service.set_clock(cabinet, kClock.wall_ms() - kClock.mono_ms(),
                                 [&](const ClockOutcome& outcome) { set = outcome.done; });
    };
    CHECK(order("kc-02") == broken.problem);
    CHECK(order("kc-03") == "it is not asked");
    CHECK(service.clock_problem("kc-03") == "it is not asked");
    CHECK(order("kc-01").empty());
    CHECK(desk.wait([&] { return desk.books.last(KeyEventType::clock_set) != nullptr; }));
    CHECK(desk.wait([&] { return set.load(); }));
}
