// What people do in a world, and what goes wrong with the machine.
#include <algorithm>
#include <filesystem>

#include "tests/simulation/money_world.hpp"

namespace gatehouse::money {

std::string text_field(const std::string& json, const std::string& name) {
    const std::string key = "\"" + name + "\":\"";
    const std::size_t begin = json.find(key);
    if (begin == std::string::npos) return "";
    const std::size_t from = begin + key.size();
    return json.substr(from, json.find('"', from) - from);
}

std::int64_t number_field(const std::string& json, const std::string& name) {
    const std::string key = "\"" + name + "\":";
    const std::size_t begin = json.find(key);
    return begin == std::string::npos ? 0 : std::stoll(json.substr(begin + key.size()));
}

bool is_done(const Reply& reply) {
    return reply.kind == ReplyKind::ok || reply.kind == ReplyKind::created;
}

std::string told(const Reply& reply) {
    std::string text = reply.type + ": " + reply.detail;
    for (const FieldError& error : reply.errors) text += "; " + error.message;
    return text;
}

// A version that could not be imported before its first day came begins on a later one: what comes
// late is another act.
void World::wait_for_first_days() {
    const std::int64_t tomorrow = calendar_.day_of(engine_->snapshot()->now_ms) + 1;
    for (std::size_t i = 0; i < known_.size(); ++i) {
        std::vector<PlanVersion>& versions = plan_.tariffs[i].versions;
        for (std::size_t n = known_[i].versions.size(); n < versions.size(); ++n)
            versions[n].from_day = std::max(tomorrow, versions[n].from_day);
    }
}

void World::import() {
    if (!import_due_) return;
    wait_for_first_days();
    ImportRegistry command;
    command.actor = "local";
    command.files = plan_.files();
    const Reply reply = ask(command);
    if (reply.kind == ReplyKind::unavailable || reply.type == "clock") return;
    if (!is_done(reply)) throw Disagreement("the registry is refused: " + told(reply));
    import_due_ = false;
    known_ = plan_.tariffs;
    ++deeds_.imports;
    auditor_.imported(plan_, books_->newest_event("registry.imported"), *books_);
}

void World::change_registry() {
    if (import_due_) {
        import();
        return;
    }
    std::vector<std::string> steady;
    for (const TrueMeter& meter : meters_)
        if (is_steady(meter) && !meter.fallen) steady.push_back(meter.id);
    Plan next = plan_;
    const std::int64_t today = calendar_.day_of(engine_->snapshot()->now_ms);
    const std::string said = change_plan(dice_, next, today, steady);
    // A version that an older copy of the books does not know could not be imported again.
    if (said.empty() || (copy_ && said.rfind("a version", 0) == 0)) return;
    plan_ = std::move(next);
    import_due_ = true;
    import();
}

void World::pay() {
    Payment payment;
    payment.fen = dice_.from_to(1, 9'000);
    TopUp& command = payment.command;
    command.actor = "local";
    command.account = dice_.pick(plan_.accounts).id;
    command.amount = decimal_of(payment.fen, 2);
    command.by = "s-01";
    command.idempotency_key = "k-" + std::to_string(++keys_);
    command.body_hash = command.idempotency_key + command.amount;
    payments_.push_back(payment);
    if (dice_.percent(10)) {
        // The power goes before anybody looked at it, or before the answer arrived.
        if (dice_.percent(50))
            static_cast<void>(engine_->submit(command, [](const Reply&) {}));
        else
            static_cast<void>(ask(command));
        power_cut(false);
        return;
    }
    settle(payments_.back());
}

void World::settle(Payment& payment) {
    const Reply reply = ask(payment.command);
    if (reply.kind == ReplyKind::unavailable) return;
    payment.answered = true;
    const std::string& key = payment.command.idempotency_key;
    if (!is_done(reply)) {
        if (payment.paid) throw Disagreement("top-up " + key + " is refused: " + told(reply));
        ++deeds_.refused;
        return;
    }
    if (!payment.paid) undoable_.push_back(text_field(reply.json, "entry"));
    payment.paid = true;
    ++deeds_.topups;
    const std::string receipt = text_field(reply.json, "receipt");
    const auto [given, fresh] = receipts_.try_emplace(receipt, key);
    if (!fresh && given->second != key)
        throw Disagreement("receipt " + receipt + " was given to " + given->second + " and to " +
                           key);
    auditor_.acknowledged(key, payment.command.account, payment.fen, receipt);
}

// The clerk's program asks again, or somebody takes an old key for something else.
void World::pay_again() {
    if (payments_.empty()) return;
    Payment& payment = payments_[static_cast<std::size_t>(
        dice_.below(static_cast<std::int64_t>(payments_.size())))];
    if (!payment.paid) {
        if (!payment.answered) settle(payment);
        return;
    }
    ++deeds_.repeated;
    if (dice_.percent(70)) {
        settle(payment);
        return;
    }
    TopUp other = payment.command;
    other.amount = decimal_of(payment.fen + 1, 2);
    other.body_hash += "+";
    const Reply reply = ask(other);
    if (reply.kind != ReplyKind::key_reused && reply.kind != ReplyKind::unavailable)
        throw Disagreement("key " + other.idempotency_key + " was taken for another body");
}

// One whose story is simple enough for another turn in it.
World::TrueMeter* World::quiet_meter() {
    TrueMeter& meter = any_meter();
    const bool quiet = is_steady(meter) && !meter.fallen && !copy_ && !import_due_ &&
                       meter.register_value > 5'000'000 && !auditor_.waits_for_edge(meter.id);
    return quiet ? &meter : nullptr;
}

void World::swap_meter(bool told_at_once) {
    TrueMeter* meter = quiet_meter();
    if (meter == nullptr) return;
    count(*meter);
    Swap swap;
    swap.old_final = meter->register_value;
    swap.opening = dice_.below(2'000'000) / 10 * 10;
    swap.serial = "S-" + std::to_string(++serials_);
    swap.at = now_;
    meter->register_value = swap.opening;
    meter->rest = 0;
    ++meter->device;
    if (!meter->serial.empty()) meter->serial = swap.serial;
    meter->swap = swap;
    if (told_at_once) enter_swap(*meter);
}

void World::enter_swaps() {
    for (TrueMeter& meter : meters_)
        if (meter.swap) enter_swap(meter);
}

void World::enter_swap(TrueMeter& meter) {
    ReplaceMeter command;
    command.actor = "local";
    command.meter = meter.id;
    command.old_final = decimal_of(meter.swap->old_final, 3);
    command.new_opening = decimal_of(meter.swap->opening, 3);
    command.new_serial = meter.swap->serial;
    command.by = "s-01";
    command.second = "s-02";
    if (dice_.percent(60)) command.at = format_iso8601(meter.swap->at, *zone_);
    if (!is_done(ask(command))) return;
    meter.swap.reset();
    meter.sent_wrong = true;  // its opening was typed: the next sample is a true one
    ++deeds_.swaps;
}

// A device loses its counts, or its load was far above its rating.
void World::jump_register(bool to_zero) {
    TrueMeter* meter = quiet_meter();
    if (meter == nullptr || meter->dead_until > now_) return;
    count(*meter);
    if (to_zero)
        meter->register_value = 0;
    else
        meter->register_value += 60'000'000;
    meter->fallen = true;
    ++deeds_.resets;
}

void World::kill_meter() {
    TrueMeter& meter = any_meter();
    meter.dead_until = std::max(meter.dead_until, now_ + dice_.from_to(1, 90) * kHour);
    ++deeds_.dead;
}

void World::visit_quarantines(bool all) {
    for (const Books::Held& held : books_->open_quarantines()) {
        if (!all && dice_.percent(50)) continue;
        const auto meter = std::find_if(meters_.begin(), meters_.end(),
                                        [&](const TrueMeter& one) { return one.id == held.meter; });
        if (meter->swap) {
            enter_swap(*meter);
            continue;
        }
        const Witness& witness = witness_.at(held.meter);
        const auto shown = witness.shown.find({held.run, held.mono_ms});
        const bool truth = shown != witness.shown.end() && shown->second.truth &&
                           shown->second.device == meter->device;
        SettleQuarantine command;
        command.actor = "local";
        command.id = std::to_string(held.id);
        command.by = "s-01";
        command.reason = "the face was looked at";
        command.release = truth && (all || !dice_.one_in(5));
        if (!is_done(ask(command))) continue;
        ++deeds_.quarantines;
        if (command.release) meter->fallen = false;
    }
}

void World::power_cut(bool long_one) {
    cut();
    const bool reboots = long_one || dice_.percent(40);
    pass_to(now_ + (long_one ? dice_.from_to(1, 40) * kHour : dice_.from_to(1, 400) * kSecond));
    if (reboots) clock_.mono = dice_.from_to(10'000, 100'000);
    if (reboots && dice_.percent(20)) lose_clock();
    open();
}

void World::limit_disk(std::int64_t pages) {
    cut();
    const auto bytes = std::filesystem::file_size(options_.database_path);
    options_.max_pages = pages == 0 ? 0 : static_cast<std::int64_t>(bytes / 4'096) + pages;
    open();
}

void World::fill_disk() {
    if (options_.max_pages != 0) return;
    limit_disk(dice_.from_to(1, 260));
    ++deeds_.full_disks;
    later(2 * kHour, 30 * kHour, [this] {
        limit_disk(0);
        step();
    });
}

void World::jump_clock() {
    // What was read in the millisecond of the step would be dated by either clock; no machine reads
    // a meter and sets its clock in one.
    pass_to(now_ + 1);
    const std::int64_t by = dice_.from_to(2 * kMinute, 3 * kHour);
    clock_.wall += dice_.percent(60) ? by : -by;
    ++deeds_.clock_jumps;
    later(kHour, 20 * kHour, [this] {
        pass_to(now_ + 1);
        clock_.wall = now_;
        step();
    });
}

// The box wakes up in another century, or years ahead, and learns the time later.
void World::lose_clock() {
    clock_.wall = dice_.percent(70) ? 978'307'200'000 + dice_.below(kDay)
                                    : now_ + dice_.from_to(200, 4'000) * kDay;
    synchronised_ = false;
    ++deeds_.untrusted_starts;
    later(10 * kMinute, 10 * kHour, [this] {
        pass_to(now_ + 1);
        clock_.wall = now_;
        synchronised_ = true;
        step();
    });
}

void World::copy_books() {
    if (copy_ || options_.max_pages != 0 || import_due_) return;
    for (const TrueMeter& meter : meters_)
        if (meter.swap || meter.fallen) return;
    look(true);
    cut();
    const std::string path = settings_.folder + "/copy-" + std::to_string(++copies_) + ".db";
    std::filesystem::copy_file(options_.database_path, path);
    copy_ = Copy{path, auditor_};
    open();
    later(kHour, 40 * kHour, [this] {
        restore_books();
        step();
    });
}

// An older copy is put back; the high-water file beside it survives. Staff enter again what the
// copy does not know.
void World::restore_books() {
    cut();
    for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(options_.database_path + suffix);
    std::filesystem::copy_file(copy_->path, options_.database_path);
    std::filesystem::remove(copy_->path);
    auditor_ = std::move(copy_->auditor);
    copy_.reset();
    for (Payment& payment : payments_)
        if (payment.paid && !auditor_.knows(payment.command.idempotency_key))
            payment.answered = payment.paid = false;
    for (Signed& one : signed_)
        if (one.done && !auditor_.has_booked(one.cause)) one.answered = one.done = false;
    open();
    // The copy counts its runs on from where it was taken: what was seen in those since is of none.
    const std::pair<std::int64_t, std::int64_t> first(engine_->snapshot()->run, 0);
    for (auto& [id, witness] : witness_) {
        witness.shown.erase(witness.shown.lower_bound(first), witness.shown.end());
        std::erase_if(witness.order, [&](const auto& stamp) { return stamp >= first; });
    }
    ++deeds_.restores;
    import_due_ = true;
    import();
}

}  // namespace gatehouse::money
