#include "daemon/mqtt/state_book.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <functional>
#include <set>
#include <unordered_map>

#include "daemon/core/assert.hpp"
#include "daemon/engine/documents.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_board.hpp"
#include "daemon/mqtt/cabinet_state.hpp"
#include "daemon/mqtt/discovery.hpp"

namespace gatehouse::mqtt {

namespace json = boost::json;

namespace {

constexpr std::int64_t kClosedToldMs = 31 * std::int64_t{86'400'000};

// Trial accounts have no balance yet, internal ones never have, and one that is refused as "not
// yet" has none that could be believed.
bool has_balance(const AccountView& account) {
    return account.billing == Billing::prepaid && !account.trial && account.not_yet.empty();
}

// A meter of which nothing was ever confirmed has an availability and no state, unless its first
// reading is held.
bool has_state(const MeterView& meter) {
    return meter.total.has_value() || meter.quality == Quality::held;
}

// What somebody acts on: all of a balance but when it was read.
std::size_t what_is_said(const AccountView& account) {
    std::size_t hash = std::hash<std::string>{}(account.unit + '\n' + account.unit_label);
    const auto add = [&](std::int64_t value) {
        hash = hash * 1'000'003U ^ std::hash<std::int64_t>{}(value);
    };
    add(static_cast<std::int64_t>(account.service));
    add(account.ledger.count);
    add(account.balance.count);
    add(account.provisional.count);
    add(account.days_left.value_or(-1));
    add(account.level);
    add(static_cast<std::int64_t>(account.quality));
    add(account.as_of.has_value() ? 1 : 0);
    add(static_cast<std::int64_t>(account.ledger_seq));
    add(account.open ? 1 : 0);
    return hash;
}

bool is_device(const AccountView& account) {
    return account.open && has_balance(account);
}

// A meter that was taken out says nothing any more.
bool is_device(const Snapshot& snapshot, std::size_t meter) {
    return snapshot.registry == nullptr || meter >= snapshot.registry->meters.size() ||
           snapshot.registry->meters[meter].status != MeterStatus::retired;
}

}  // namespace

std::string StateBook::balance_topic(const AccountView& account) const {
    return full_topic(settings_, "account/" + account.account + "/balance");
}

void StateBook::forget() {
    queue_.clear();
    meters_.clear();
    accounts_.clear();
    cabinets_.clear();
    board_.reset();
    info_.clear();
    health_key_.clear();
    info_waits_ = health_waits_ = false;
    scan_due_.reset();
    gateway_announced_ = 0;
    heard_.clear();
    heard_cabinets_.clear();
    removals_.clear();
}

void StateBook::scan(std::shared_ptr<const Snapshot> snapshot, MonoMs now) {
    // Imports only add rows; should a table ever be shorter, no row that waits may point past it.
    if (snapshot->meters.size() < meters_.size() || snapshot->accounts.size() < accounts_.size()) {
        forget();
    }
    snapshot_ = std::move(snapshot);
    scan_due_.reset();
    scan_bridge();
    scan_cabinets();
    if (!settings_.homeassistant_prefix.empty()) announce_all();
    scan_accounts(now);
    scan_meters();
    if (!heard_.empty() || !heard_cabinets_.empty()) remove_strangers();
}

void StateBook::scan_bridge() {
    if (std::string info = info_json(); info != info_) {
        info_ = std::move(info);
        if (!info_waits_) queue_.push_back({Kind::info});
        info_waits_ = true;
    }
    std::string key = (snapshot_->store_ok ? "1" : "0") + snapshot_->store_reason;
    for (const BusStatus& bus : snapshot_->buses) {
        key += '\n' + bus.bus + to_string(bus.phase) + bus.reason;
    }
    if (key != health_key_) {
        health_key_ = std::move(key);
        want_health();
    }
}

void StateBook::want_health() {
    if (!health_waits_) queue_.push_back({Kind::health});
    health_waits_ = true;
}

void StateBook::announce_again() {
    gateway_announced_ = 0;
    for (Meter& meter : meters_) meter.announced = 0;
    for (Account& account : accounts_) account.announced = 0;
    for (Cabinet& cabinet : cabinets_) cabinet.announced = 0;
    scan_due_ = 0;
}

void StateBook::heard_device(std::string object, std::string config) {
    heard_.push_back({std::move(object), std::move(config)});
    scan_due_ = 0;
}

void StateBook::heard_cabinet(std::string cabinet) {
    heard_cabinets_.push_back(std::move(cabinet));
    scan_due_ = 0;
}

void StateBook::clear(std::string topic) {
    removals_.push_back(std::move(topic));
    queue_.push_back({Kind::removal});
}

// Only what stands below this site's own root, and is the state of something that comes and goes.
void StateBook::clear_states_of(const std::string& config) {
    boost::system::error_code error;
    const json::value document = json::parse(config, error);
    const json::object* device = error ? nullptr : document.if_object();
    if (device == nullptr) return;
    std::set<std::string> topics;
    const auto note = [&](const json::object& from, const char* name) {
        const json::value* topic = from.if_contains(name);
        if (topic == nullptr || !topic->is_string()) return;
        const std::string text(topic->get_string().c_str());
        for (const char* kind : {"meter/", "account/", "cabinet/"})
            if (text.starts_with(full_topic(settings_, kind))) topics.insert(text);
    };
    note(*device, "state_topic");
    const json::value* availability = device->if_contains("availability");
    if (availability != nullptr && availability->is_array())
        for (const json::value& one : availability->get_array())
            if (one.is_object()) note(one.get_object(), "topic");
    for (const std::string& topic : topics) clear(topic);
}

void StateBook::announce(Kind kind, std::size_t row, std::size_t& announced, std::size_t mark,
                         const std::string& object) {
    if (announced == mark) return;
    announced = mark;
    if (mark != 0) {
        queue_.push_back({kind, row});
    } else {
        clear(device_removal(settings_, object).topic);
    }
}

void StateBook::announce_all() {
    const auto mark_of = [](const std::string& text) {
        return std::hash<std::string>{}(text) | 1U;
    };
    std::string buses = "gateway";
    for (const BusStatus& bus : snapshot_->buses) buses += ' ' + bus.bus;
    announce(Kind::gateway_discovery, 0, gateway_announced_, mark_of(buses), {});
    announce_cabinets();
    accounts_.resize(snapshot_->accounts.size());
    for (std::size_t i = 0; i < accounts_.size(); ++i) {
        const AccountView& row = snapshot_->accounts[i];
        announce(Kind::account_discovery, i, accounts_[i].announced,
                 is_device(row) ? mark_of(row.unit_label) : 0,
                 account_object(settings_, row.account));
    }
    meters_.resize(snapshot_->meters.size());
    for (std::size_t i = 0; i < meters_.size(); ++i) {
        const MeterView& row = snapshot_->meters[i];
        const bool live = row.power_milliwatt || row.flow_millilitre_per_hour;
        announce(Kind::meter_discovery, i, meters_[i].announced,
                 is_device(*snapshot_, i)
                     ? mark_of(row.unit_label + '\n' + row.serial + (live ? "+" : "-"))
                     : 0,
                 meter_object(settings_, row.meter()));
    }
}

// What the broker still announces and is no device: of a registry of before, or of an account that
// ended while nobody was connected.
void StateBook::remove_strangers() {
    const bool announces = !settings_.homeassistant_prefix.empty();
    // Whether it is announced; a row that is there and is no device keeps its state topic.
    std::unordered_map<std::string, bool> rows{{gateway_object(settings_), announces}};
    for (std::size_t i = 0; i < snapshot_->accounts.size(); ++i)
        rows[account_object(settings_, snapshot_->accounts[i].account)] =
            announces && is_device(snapshot_->accounts[i]);
    for (std::size_t i = 0; i < snapshot_->meters.size(); ++i)
        rows[meter_object(settings_, snapshot_->meters[i].meter())] =
            announces && is_device(*snapshot_, i);
    for (const Cabinet& cabinet : cabinets_)
        rows[cabinet_object(settings_, cabinet.id)] = announces;
    for (const Heard& heard : heard_) {
        const auto row = rows.find(heard.object);
        if (row != rows.end() && row->second) continue;
        clear(device_removal(settings_, heard.object).topic);
        if (row == rows.end()) clear_states_of(heard.config);
    }
    heard_.clear();
    if (board_ == nullptr) return;  // which cabinets there are is not known yet
    for (const std::string& cabinet : heard_cabinets_)
        if (std::none_of(cabinets_.begin(), cabinets_.end(),
                         [&](const Cabinet& one) { return one.id == cabinet; }))
            clear(full_topic(settings_, "cabinet/" + cabinet + "/state"));
    heard_cabinets_.clear();
}

// A handful, and only where keys moved.
void StateBook::scan_cabinets() {
    if (snapshot_->keys == nullptr || snapshot_->keys == board_) return;
    board_ = snapshot_->keys;
    cabinets_.resize(board_->cabinets.size());
    for (std::size_t i = 0; i < cabinets_.size(); ++i) {
        const CabinetView& row = board_->cabinets[i];
        Cabinet& known = cabinets_[i];
        known.id = row.cabinet;
        std::string state = cabinet_state_json(*snapshot_, row, zone_);
        if (state == known.state) continue;
        known.state = std::move(state);
        if (!known.waits) queue_.push_back({Kind::cabinet_state, i});
        known.waits = true;
    }
}

void StateBook::announce_cabinets() {
    for (std::size_t i = 0; i < cabinets_.size(); ++i) {
        Cabinet& known = cabinets_[i];
        std::vector<int> slots = cabinet_slots(*snapshot_, known.id);
        for (const int slot : known.slots)
            if (std::find(slots.begin(), slots.end(), slot) == slots.end())
                known.gone.push_back(slot);
        std::erase_if(known.gone, [&](int slot) {
            return std::find(slots.begin(), slots.end(), slot) != slots.end();
        });
        known.slots = std::move(slots);
        std::string text = board_->cabinets[i].profile;
        for (const int slot : known.slots) text += ' ' + std::to_string(slot);
        announce(Kind::cabinet_discovery, i, known.announced, std::hash<std::string>{}(text) | 1U,
                 {});
    }
}

void StateBook::scan_meters() {
    const Table<MeterView>& rows = snapshot_->meters;
    meters_.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const MeterView& row = rows[i];
        Meter& known = meters_[i];
        if (known.id != row.meter()) {
            known =
                Meter{.id = row.meter(), .version = {}, .online = {}, .announced = known.announced};
        }
        if (!known.availability_waits && known.online != row.online) {
            known.availability_waits = true;
            queue_.push_back({Kind::meter_availability, i});
        }
        if (!known.state_waits && has_state(row) && known.version != row.state_version) {
            known.state_waits = true;
            queue_.push_back({Kind::meter_state, i});
        }
    }
}

void StateBook::scan_accounts(MonoMs now) {
    const Table<AccountView>& rows = snapshot_->accounts;
    accounts_.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const AccountView& row = rows[i];
        Account& known = accounts_[i];
        if (known.id != row.account) {
            known = Account{.id = row.account, .version = {}, .announced = known.announced};
        }
        if (known.waits || known.version == row.state_version || !has_balance(row)) continue;
        // A closed account says its last balance and is cleared. A new connection clears it once
        // more for a month: a crash between the end and the message must not leave an old balance
        // retained.
        if (!row.open && known.cleared) continue;
        if (!row.open && !known.version) {
            const bool lately = row.closed_at && snapshot_->now_ms - *row.closed_at < kClosedToldMs;
            known.cleared = true;
            if (lately) clear(balance_topic(row));
            continue;
        }
        const bool same = known.version && known.said == what_is_said(row);
        const MonoMs due =
            known.at + (same ? settings_.balance_time_interval_ms : settings_.balance_interval_ms);
        if (known.version && due > now) {
            scan_due_ = scan_due_ ? std::min(*scan_due_, due) : due;
            continue;
        }
        known.waits = true;
        queue_.push_back({Kind::balance, i});
    }
}

Message StateBook::front(const HealthFacts& facts) const {
    GH_ASSERT(!queue_.empty() && snapshot_ != nullptr);
    const Entry& entry = queue_.front();
    Message message{.topic = {}, .payload = {}, .qos = 1, .retained = true};
    switch (entry.kind) {
        case Kind::info:
            message.topic = "bridge/info";
            message.payload = info_;
            break;
        case Kind::health:
            message.topic = "bridge/health";
            message.payload = health_json(facts);
            message.qos = 0;
            break;
        case Kind::meter_state:
            message.topic = "meter/" + snapshot_->meters[entry.row].meter() + "/state";
            message.payload = meter_state_json(snapshot_->meters[entry.row], zone_);
            message.qos = 0;
            break;
        case Kind::meter_availability:
            message.topic = "meter/" + snapshot_->meters[entry.row].meter() + "/availability";
            message.payload = availability(snapshot_->meters[entry.row]);
            break;
        case Kind::balance:
            message.topic = balance_topic(snapshot_->accounts[entry.row]);
            message.payload =
                account_balance_json(snapshot_->accounts[entry.row], settings_.currency, zone_);
            return message;
        case Kind::cabinet_state:
            message.topic = "cabinet/" + cabinets_[entry.row].id + "/state";
            message.payload = cabinets_[entry.row].state;
            break;
        case Kind::gateway_discovery:
            return mqtt::gateway_discovery(settings_, *snapshot_);
        case Kind::meter_discovery:
            return mqtt::meter_discovery(settings_, snapshot_->meters[entry.row]);
        case Kind::account_discovery:
            return mqtt::account_discovery(settings_, snapshot_->accounts[entry.row]);
        case Kind::cabinet_discovery: {
            const Cabinet& cabinet = cabinets_[entry.row];
            return mqtt::cabinet_discovery(settings_, board_->cabinets[entry.row], cabinet.slots,
                                           cabinet.gone);
        }
        case Kind::removal:
            message.topic = removals_.front();
            return message;
    }
    message.topic = full_topic(settings_, message.topic);
    return message;
}

void StateBook::handed_over(MonoMs now) {
    GH_ASSERT(!queue_.empty());
    const Entry entry = queue_.front();
    queue_.pop_front();
    switch (entry.kind) {
        case Kind::info:
            info_waits_ = false;
            break;
        case Kind::health:
            health_waits_ = false;
            break;
        case Kind::meter_state:
            meters_[entry.row].version = snapshot_->meters[entry.row].state_version;
            meters_[entry.row].state_waits = false;
            break;
        case Kind::meter_availability:
            meters_[entry.row].online = snapshot_->meters[entry.row].online;
            meters_[entry.row].availability_waits = false;
            break;
        case Kind::balance:
            accounts_[entry.row].version = snapshot_->accounts[entry.row].state_version;
            accounts_[entry.row].said = what_is_said(snapshot_->accounts[entry.row]);
            accounts_[entry.row].at = now;
            accounts_[entry.row].waits = false;
            if (!snapshot_->accounts[entry.row].open) {
                accounts_[entry.row].cleared = true;
                clear(balance_topic(snapshot_->accounts[entry.row]));
            }
            break;
        case Kind::cabinet_state:
            cabinets_[entry.row].waits = false;
            break;
        case Kind::removal:
            removals_.pop_front();
            break;
        case Kind::gateway_discovery:
        case Kind::meter_discovery:
        case Kind::account_discovery:
        case Kind::cabinet_discovery:
            break;
    }
}

std::vector<Message> StateBook::greeting(const Snapshot& snapshot) const {
    std::vector<Message> messages;
    messages.push_back({full_topic(settings_, "status"), "online", 1, true});
    for (const auto& alert : snapshot.open_alerts) {
        if (alert->payload.empty()) continue;
        messages.push_back(
            {full_topic(settings_, "alert/active/" + alert->id), alert->payload, 1, true});
    }
    if (snapshot.keys)
        for (const auto& [number, state] : snapshot.keys->tickets)
            messages.push_back({full_topic(settings_, "ticket/" + number), state, 1, true});
    if (!snapshot.digest.empty())
        messages.push_back({full_topic(settings_, "alert/digest"), snapshot.digest, 1, true});
    return messages;
}

std::string StateBook::info_json() const {
    JsonWriter json;
    json.begin_object().field("schema", 1).field("version", settings_.version);
    json.field("run", snapshot_->run_id);
    json.field("clock", snapshot_->clock_trusted ? "trusted" : "untrusted");
    json.field_if("clock_reason", snapshot_->clock_reason);
    json.end_object();
    return json.take();
}

std::string StateBook::health_json(const HealthFacts& facts) const {
    const Snapshot& now = *snapshot_;
    const std::uint64_t backlog = now.event_seq > facts.cursor ? now.event_seq - facts.cursor : 0;
    JsonWriter json;
    json.begin_object().field("schema", 1).field("backlog", backlog);
    json.field("event_seq", now.event_seq).field("cursor", facts.cursor);
    json.field("unpublishable", facts.unpublishable);
    json.key("buses").begin_array();
    for (const BusStatus& bus : now.buses) {
        json.begin_object().field("bus", bus.bus).field("state", to_string(bus.phase));
        json.field_if("reason", bus.reason);
        json.field("meters", bus.meters).field("meters_online", bus.meters_online).end_object();
    }
    json.end_array().field("accounts_low", now.accounts_low);
    json.field("store", now.store_ok ? "ok" : "failing");
    json.field_if("store_reason", now.store_reason);
    json.field("disk_free_bytes", facts.disk_free_bytes);
    json.field("at", format_iso8601(now.now_ms, zone_)).end_object();
    return json.take();
}

}  // namespace gatehouse::mqtt
