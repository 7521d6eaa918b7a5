#include "tests/integration/http/http_house.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <future>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "daemon/engine/key_board.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "daemon/http/app.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::testing {

namespace {

constexpr std::int64_t kEastMs = 8 * 3'600'000;
constexpr std::int64_t kDayMs = 24 * 3'600'000;
constexpr int kPatienceS = 20;

// A meter that was replaced, as the sealed file of a month shows it.
constexpr char kOctober[] =
    ",\"items\":[\n"
    R"({"no":1,"meter":"e-0","unit":"h-0","service":"electricity","role":"unit","epoch":1,)"
    R"("multiplier":"1","start_register":"100.000","end_register":"110.000",)"
    R"("quantity":"10.000","quality":"replaced"},)"
    "\n"
    R"({"no":2,"meter":"e-0","unit":"h-0","service":"electricity","role":"unit","epoch":2,)"
    R"("multiplier":"1","start_register":"0.000","end_register":"5.000",)"
    R"("quantity":"5.000","quality":"good","end_seq":5})"
    "\n]"
    R"(,"totals":{"electricity":{"unit":"15.000","meters":1}})";
// By the hour: what the meter counted in each band, a tier's adder, and a line of two meters.
constexpr char kOctoberCharges[] =
    ",\"items\":[\n"
    R"({"kind":"line","account":"a-0","band":"peak","meters":["e-0"],"quantity":"4.000"},)"
    "\n"
    R"({"kind":"line","account":"a-0","band":"off-peak","meters":["e-0"],"quantity":"9.000"},)"
    "\n"
    R"({"kind":"line","account":"a-0","band":"night","meters":["e-0"],"quantity":"2.000"},)"
    "\n"
    R"({"kind":"line","account":"a-0","tier":1,"meters":["e-0"],"quantity":"15.000"},)"
    "\n"
    R"({"kind":"line","account":"a-9","band":"尖","meters":["e-0","e-9"],"quantity":"1.000"},)"
    "\n"
    R"({"kind":"correction","account":"a-0","band":"peak","quantity":"7.000"})"
    "\n]";

const char* october_of(std::string_view file) {
    return file == "readings" ? kOctober : file == "charges" ? kOctoberCharges : "";
}

}  // namespace

LocalTime EightHoursEast::local(UtcMs at) const {
    const std::int64_t local = at + kEastMs;
    const std::int64_t day = local / kDayMs - (local % kDayMs < 0 ? 1 : 0);
    return {date_from_days(day), static_cast<int>(local - day * kDayMs), 480};
}

UtcMs EightHoursEast::midnight(LocalDate date) const {
    return days_since_epoch(date) * kDayMs - kEastMs;
}

MonoMs RealClock::mono_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

bool ScriptedEngine::submit(Command command, ReplyHandler handler) {
    {
        const std::lock_guard lock(mutex_);
        if (full_) return false;
        commands_.push_back(command);
        if (hold_) {
            held_.emplace_back(std::move(command), std::move(handler));
            changed_.notify_all();
            return true;
        }
    }
    handler(script ? script(command) : Reply{});
    return true;
}

std::shared_ptr<const Snapshot> ScriptedEngine::snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
}

void ScriptedEngine::set(Snapshot snapshot) {
    auto fresh = std::make_shared<const Snapshot>(std::move(snapshot));
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(fresh);
}

void ScriptedEngine::hold() {
    const std::lock_guard lock(mutex_);
    hold_ = true;
}

void ScriptedEngine::release() {
    std::vector<std::pair<Command, ReplyHandler>> held;
    {
        const std::lock_guard lock(mutex_);
        hold_ = false;
        held.swap(held_);
    }
    for (auto& [command, handler] : held) handler(script ? script(command) : Reply{});
}

void ScriptedEngine::refuse(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
}

void ScriptedEngine::wait_for_held(std::size_t n) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(kPatienceS),
                           [&] { return held_.size() >= n; })) {
        throw std::runtime_error("the engine was not asked");
    }
}

bool ScriptedMeters::read_now(const std::string&, Handler handler, std::string& why) {
    if (!outcome) {
        why = "the bus is offline";
        return false;
    }
    handler(*outcome);
    return true;
}

std::string Got::header(const std::string& name) const {
    const std::size_t place = head.find("\r\n" + name + ": ");
    if (place == std::string::npos) return {};
    const std::size_t from = place + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
}

Wire::Wire(const std::string& socket_path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
    set_timeout();
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error("connect " + socket_path + ": " + std::strerror(errno));
    }
}

Wire::Wire(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    set_timeout();
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error("connect " + std::to_string(port));
    }
}

Wire::~Wire() {
    if (fd_ >= 0) ::close(fd_);
}

void Wire::set_timeout() {
    timeval patience{};
    patience.tv_sec = kPatienceS;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

void Wire::send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<std::size_t>(n);
    }
}

bool Wire::more() {
    std::string chunk(65536, '\0');
    const ssize_t n = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (n <= 0) return false;
    rest_.append(chunk, 0, static_cast<std::size_t>(n));
    return true;
}

bool Wire::receive_chunk(std::string& chunk) {
    std::size_t end = 0;
    while ((end = rest_.find("\r\n")) == std::string::npos) {
        if (!more()) return false;
    }
    const std::size_t size = std::stoul(rest_.substr(0, end), nullptr, 16);
    while (rest_.size() < end + 2 + size + 2) {
        if (!more()) return false;
    }
    chunk = rest_.substr(end + 2, size);
    rest_.erase(0, end + 2 + size + 2);
    return true;
}

Got Wire::receive(bool head_only) {
    std::size_t end = 0;
    while ((end = rest_.find("\r\n\r\n")) == std::string::npos) {
        if (!more()) return {};
    }
    Got got;
    got.head = rest_.substr(0, end + 2);
    rest_.erase(0, end + 4);
    got.status = std::stoi(got.head.substr(9, 3));
    if (!head_only && got.header("Transfer-Encoding") == "chunked") {
        for (std::string chunk = "?"; !chunk.empty();) {
            if (!receive_chunk(chunk)) return {};
            got.body += chunk;
        }
        return got;
    }
    const std::string length = got.header("Content-Length");
    const std::size_t size = length.empty() || head_only ? 0 : std::stoul(length);
    while (rest_.size() < size) {
        if (!more()) return {};
    }
    got.body = rest_.substr(0, size);
    rest_.erase(0, size);
    return got;
}

bool Wire::ended() {
    std::string chunk(4096, '\0');
    for (;;) {
        const ssize_t n = ::recv(fd_, chunk.data(), chunk.size(), 0);
        if (n == 0) return true;
        if (n < 0) return errno == ECONNRESET;
    }
}

std::string request_text(const std::string& method, const std::string& target,
                         const std::string& body, const std::string& headers) {
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: gatehouse\r\n" + headers;
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + body;
}

HttpHouse::HttpHouse(HouseOptions options) {
    const Registry registry = homes(options.homes);
    store = open_store(folder.file("books.db"), "run-1");
    fill_store(registry);
    fill_world(registry);
    status.self.version = "0.1.0";
    status.self.ready = true;
    status.self.started_ms = kMorning;
    BusStatus bus;
    bus.bus = "b1";
    bus.phase = BusPhase::online;
    bus.meters = options.homes;
    bus.meters_online = options.homes;
    bus.exchanges[0] = 17;
    status.all.push_back(bus);
    socket_path = folder.file("api.sock");
    http::ServerOptions server_options;
    server_options.socket_path = socket_path;
    server_options.listen_host = "127.0.0.1";
    server_options.tls_cert_file = options.tls_cert_file;
    server_options.tls_key_file = options.tls_key_file;
    server_options.database_path = folder.file("books.db");
    server_options.site_id = "riverside";
    server_options.metrics_meters = options.metrics_meters;
    server_options.limits = options.limits;
    server_options.decode_push = [](std::string_view, const std::string& cabinet) {
        KeyPush push;
        push.source = cabinet;
        return std::variant<KeyPush, http::PushProblem>(push);
    };
    server_options.say = [this](const std::string& line) { said.push_back(line); };
    server = std::make_unique<http::Server>(server_options, engine, meters, commissioning, status,
                                            zone, clock, random);
    server->start();
}

HttpHouse::~HttpHouse() {
    server->stop();
    engine.release();
}

void HttpHouse::fill_store(const Registry& registry) {
    store->begin();
    Ticket ticket;
    ticket.number = "WX-202611-0001";
    ticket.unit = "h-0";
    ticket.text = "the lock jams";
    ticket.reported_at = kMorning;
    store->key_books().put_ticket(ticket_row(ticket));
    store->put_registry(registry, stamp_of(*store));
    store->put_run_offset(store->report().run, {0, kMorning - 1'000});
    EpochRow epoch;
    epoch.meter = "e-0";
    epoch.serial = "s-0";
    epoch.opened = stamp_of(*store);
    const std::int64_t id = store->put_epoch(epoch);
    epoch_ = id;
    for (int i = 0; i < 5; ++i) {
        ReadingRow row = reading_of(*store, "e-0", 100'000 + i * 1'000, 2'000 + i * 60'000);
        row.epoch = id;
        row.account = "a-0";
        readings.push_back(store->append_reading(row));
    }
    Entry entry = topup_entry("a-0", Fen{10'000}, Method::cash, "s-01", "topup:k-0");
    entry.entry = "en-1";
    entry.receipt = "R-1";
    entry.month = "2026-11";
    store->append_entry(entry, stamp_of(*store), {});
    for (int i = 0; i < 3; ++i) store->append_event(event_of(*store, "test.event", i));
    QuarantineRow held;
    held.meter = "e-1";
    held.account = "a-1";
    held.at = stamp_of(*store);
    held.register_value = Milli{99'000};
    held.total = Milli{99'000};
    held.raw = {0x0001, 0x82b8};
    held.reason = "decrease";
    held.epoch = id;
    store->put_quarantine(held);
    PeriodRow october;
    october.month = "2026-10";
    october.by = "s-01";
    october.event = store->append_event(event_of(*store, "test.event", 3));
    store->begin_period(october);
    std::vector<PeriodFile> files;
    for (const char* name : {"readings", "charges", "ledger", "summary"}) {
        SealedText text;
        text.append(std::string("{\"file\":\"") + name + "\"" + october_of(name) + "}\n");
        files.push_back(text.finish(name));
        store->keep_period_part(october.month, name, 0, files.back().deflated);
    }
    store->seal_period(october, files);
    store->commit();
    world_.event_seq = store->last(Series::event);
    world_.reading_seq = store->last(Series::reading);
}

void HttpHouse::fill_world(const Registry& registry) {
    Registry people = registry;
    Person holder;
    holder.person = "p-1";
    holder.name = "张三";
    holder.phone = "13812345678";
    holder.unit = "h-0";
    people.people.push_back(holder);
    Pool pool;
    pool.pool = "stairs";
    pool.main = {"e-0"};
    pool.members = {"h-0"};
    people.pools.push_back(pool);
    Key key;
    key.key = "k-1";
    key.cabinet = "kc-01";
    key.slot = 1;
    key.opens = {"h-0"};
    people.keys.push_back(key);
    auto board = std::make_shared<KeyBoard>();
    KeyView view;
    view.key = "k-1";
    view.cabinet = "kc-01";
    view.slot = 1;
    board->keys.push_back(view);
    CabinetView cabinet;
    cabinet.cabinet = "kc-01";
    cabinet.kind = "http";
    board->cabinets.push_back(cabinet);
    for (const StaffRole role : {StaffRole::desk, StaffRole::duty, StaffRole::collector,
                                 StaffRole::cashier, StaffRole::billing, StaffRole::tech,
                                 StaffRole::head, StaffRole::admin, StaffRole::contractor}) {
        Staff staff;
        staff.staff = std::string("r-") + to_string(role);
        staff.name = to_string(role);
        staff.roles = {role};
        people.staff.push_back(staff);
    }
    world_.registry = std::make_shared<const Registry>(people);
    world_.keys = board;
    world_.run_id = "run-1";
    world_.now_ms = kMorning;
    world_.clock_trusted = true;
    world_.clock_reason = "test";
    for (std::size_t i = 0; i < registry.meters.size(); ++i) {
        MeterView meter;
        Meter row;
        row.meter = registry.meters[i].meter;
        row.unit = registry.meters[i].unit;
        meter.row = std::make_shared<const Meter>(row);
        meter.online = i == 0;
        meter.reason = i == 0 ? "" : "no answer";
        if (i == 0) meter.total = Milli{104'000};
        if (i == 0) meter.register_value = Milli{104'000};
        if (i == 0) meter.read_at = kMorning;
        if (i == 0) meter.last_poll_at = kMorning;
        meter.power_milliwatt = 1'234'500;
        world_.meters.set(i, meter);
        AccountView account;
        account.account = registry.accounts[i].account;
        account.unit = registry.accounts[i].unit;
        account.tariffs = {"flat"};
        account.ledger = i == 0 ? Fen{10'000} : Fen{0};
        account.balance = i == 0 ? Fen{9'805} : Fen{0};
        account.provisional = account.balance;
        account.level = i == 0 ? 0 : 3;
        world_.accounts.set(i, account);
    }
    AlertView alert;
    alert.id = "01JDALERT";
    alert.kind = "low_balance";
    alert.state = "raised";
    alert.account = "a-1";
    alert.unit = "h-1";
    alert.payload = R"({"schema":1,"id":"01JDALERT","kind":"low_balance","state":"raised"})";
    world_.open_alerts.push_back(std::make_shared<const AlertView>(alert));
    show();
}

Got HttpHouse::ask(const std::string& method, const std::string& target, const std::string& body,
                   const std::string& headers) {
    Wire wire(socket_path);
    wire.send(request_text(method, target, body, headers));
    return wire.receive(method == "HEAD");
}

Got HttpHouse::ask_tcp(const std::string& token, const std::string& method,
                       const std::string& target, const std::string& body,
                       const std::string& headers) {
    Wire wire(server->port());
    const std::string bearer = token.empty() ? "" : "Authorization: Bearer " + token + "\r\n";
    wire.send(request_text(method, target, body, bearer + headers));
    return wire.receive(method == "HEAD");
}

void HttpHouse::event(const std::string& kind) {
    store->append_event(event_of(*store, kind, 0));
}

std::string HttpHouse::add_token(const std::string& id, const std::vector<std::string>& scopes,
                                 std::optional<UtcMs> expires) {
    TokenRow row;
    row.id = id;
    row.name = "test";
    row.scopes = scopes;
    row.secret_hash = http::sha256_hex("secret-" + id);
    row.created_at = kMorning;
    row.expires_at = expires;
    store->begin();
    store->put_token(row);
    event("token.added");
    store->commit();
    tokens_[id] = row;
    world_.event_seq = store->last(Series::event);
    show();
    return "gh_" + id + "_secret-" + id;
}

void HttpHouse::give_password(const std::string& staff) {
    static const std::string kHash = [] {
        http::Hasher hasher(quick_limits().hash);
        std::promise<std::string> made;
        REQUIRE(hasher.make(kPassword, [&](std::string hash) { made.set_value(std::move(hash)); }));
        return made.get_future().get();
    }();
    store->begin();
    store->put_password({staff, kHash, kMorning});
    event("staff.password_set");
    store->commit();
    world_.event_seq = store->last(Series::event);
    show();
}

std::string HttpHouse::log_in(const std::string& staff, const std::string& password) {
    const Got got = ask_tcp("", "POST", "/api/v1/session",
                            R"({"staff":")" + staff + R"(","password":")" + password + R"("})");
    const std::string cookie = got.header("Set-Cookie");
    if (got.status != 201) return "";
    return cookie.substr(0, cookie.find(';'));
}

Got HttpHouse::ask_as(const std::string& cookie, const std::string& method,
                      const std::string& target, const std::string& body,
                      const std::string& headers) {
    return ask_tcp("", method, target, body,
                   "Cookie: other=1; " + cookie + "\r\nX-Gatehouse-Request: 1\r\n" + headers);
}

void HttpHouse::revoke_token(const std::string& id) {
    tokens_[id].revoked_at = kMorning;
    store->begin();
    store->put_token(tokens_[id]);
    event("token.revoked");
    store->commit();
    world_.event_seq = store->last(Series::event);
    show();
}

void HttpHouse::many_readings(int n) {
    store->begin();
    for (int i = 0; i < n; ++i) {
        ReadingRow row = reading_of(*store, "e-0", 200'000 + i, 400'000 + i * 60'000);
        row.epoch = epoch_;
        row.account = "a-0";
        store->append_reading(row);
    }
    store->commit();
    world_.reading_seq = store->last(Series::reading);
    show();
}

void HttpHouse::happen(int n) {
    store->begin();
    for (int i = 0; i < n; ++i) event("test.event");
    store->commit();
    world_.event_seq = store->last(Series::event);
    show();
    server->commit_came();
}

std::string at(const std::string& json, const std::string& pointer) {
    boost::system::error_code error;
    const boost::json::value document = boost::json::parse(json, error);
    if (error) return "(no JSON)";
    const boost::json::value* value = document.find_pointer(pointer, error);
    if (value == nullptr) return "(absent)";
    if (value->is_string()) return value->get_string().c_str();
    return boost::json::serialize(*value);
}

std::size_t count_items(const std::string& json) {
    boost::system::error_code error;
    const boost::json::value document = boost::json::parse(json, error);
    return error ? 0 : document.at("items").as_array().size();
}

}  // namespace gatehouse::testing
