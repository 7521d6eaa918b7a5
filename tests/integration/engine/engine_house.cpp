#include "tests/integration/engine/engine_house.hpp"

#include <boost/json.hpp>
#include <stdexcept>

#include "daemon/engine/replay_proof.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::testing {
namespace {

// A meter of 0.01 kWh steps that wraps at one million, and one of litres.
ProfileFact profile(const std::string& name) {
    MeterTraits traits;
    traits.status = MapStatus::checked;
    if (name == "eastron-sdm120") {
        traits.step = Rational{1, 100};
        traits.rollover = Rational{1'000'000, 1};
        return {traits, ""};
    }
    if (name == "wirenboard-mwac2") {
        traits.step = Rational{1, 1'000};
        traits.module = true;
        return {traits, "", Service::water};
    }
    if (name == "wirenboard-mcm8") {
        traits.step = Rational{1, 1};
        traits.module = traits.reads_serial = true;
        return {traits, "", Service::water};
    }
    if (name == "abb-b23" || name == "chint-dtsu666") {
        traits.step = Rational{1, 100};
        traits.reads_serial = name == "abb-b23";
        if (name == "chint-dtsu666") traits.status = MapStatus::conflict;
        return {traits, ""};
    }
    return {std::nullopt, "no profile is called " + name};
}

}  // namespace

std::string flat_tariff(const std::string& id, const std::string& service,
                        const std::string& price) {
    return "[[tariff]]\nid = \"" + id + "\"\nservice = \"" + service +
           "\"\nsource = \"a test\"\n[[tariff.version]]\nvalid_from = \"2026-01-01\"\n"
           "ladder = \"none\"\ntiers = [ { price = \"" +
           price + "\" } ]\n";
}

std::string beijing_tariff() {
    return "[[tariff]]\nid = \"beijing\"\nservice = \"electricity\"\nsource = \"a test\"\n"
           "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"year\"\n"
           "ladder_from = \"01-01\"\n"
           "tiers = [ { up_to = \"2880\", price = \"0.4883\" }, "
           "{ up_to = \"4800\", price = \"0.5383\" }, { price = \"0.7883\" } ]\n";
}

FileTexts three_homes() {
    return {
        {"units.csv", "unit,label\n1-101,1栋101\n1-102,1栋102\n1-103,1栋103\n"},
        {"meters.csv",
         "meter,unit,service,bus,address,profile,rated_amps\n"
         "e-101,1-101,electricity,b1,1,eastron-sdm120,1000\n"
         "w-101,1-101,water,b1,2,wirenboard-mwac2,\n"
         "e-102,1-102,electricity,b1,3,eastron-sdm120,10000\n"
         "e-103,1-103,electricity,b1,4,eastron-sdm120,1000\n"},
        {"accounts.csv",
         "account,unit,service,tariff,opening_balance,opening_ladder,hoarding_cap\n"
         "a-101,1-101,all,flat;water,100.00,,500.00\n"
         "a-102,1-102,electricity,beijing,200.00,2879,\n"
         "a-103,1-103,electricity,flat,,,\n"},
        {"tariffs/flat.toml", flat_tariff("flat", "electricity", "0.5283")},
        {"tariffs/water.toml", flat_tariff("water", "water", "5.00")},
        {"tariffs/beijing.toml", beijing_tariff()},
        {"staff.csv", "staff,name,roles\ns-01,李四,collector\ns-02,王五,cashier\n"},
    };
}

House::House(std::uint64_t seed) : zone_(make_zone("Asia/Shanghai")), random_(seed) {
    // In memory where the machine has such a folder: no test here pulls the plug of the disk.
    std::string pattern = "/dev/shm/gatehouse-engine-XXXXXX";
    if (!::mkdtemp(pattern.data())) {
        pattern = (std::filesystem::temp_directory_path() / "gatehouse-engine-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
    }
    folder_ = pattern;
    options.database_path = folder_ + "/gatehouse.db";
    options.site_id = "riverside";
    options.site_name = "Riverside";
    options.timezone = "Asia/Shanghai";
    options.buses = {"b1"};
    options.system_synchronised = [this] { return synchronised; };
    options.alerts.base.low_balance = Fen{50'00};
    options.alerts.base.critical_balance = Fen{10'00};
    options.alerts.base.clear_margin = Fen{5'00};
    options.alerts.base.low_days = 0;
    options.alerts.base.critical_days = 0;
    options.say = [this](const std::string& line) { said.push_back(line); };
}

House::~House() {
    engine_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void House::open() {
    engine_ = std::make_unique<Engine>(options, clock, random_, *zone_, profile);
    engine_->set_poller(&asked);
}

void House::crash() {
    engine_.reset();
}

Reply House::ask(Command command) {
    std::optional<Reply> reply;
    const bool taken =
        engine_->submit(std::move(command), [&](Reply given) { reply = std::move(given); });
    REQUIRE(taken);
    // What is looked at in slices is answered after some turns.
    for (int turns = 0; !reply && turns < 10'000; ++turns) engine_->step();
    REQUIRE(reply);
    return *reply;
}

Reply House::import(const FileTexts& files, bool dry_run) {
    ImportRegistry command;
    command.actor = "local";
    command.files.assign(files.begin(), files.end());
    command.dry_run = dry_run;
    return ask(command);
}

Reply House::import_signed(const FileTexts& files, const std::string& actor) {
    ImportRegistry command;
    command.actor = actor;
    command.files.assign(files.begin(), files.end());
    command.by = "s-01";
    command.second = "s-02";
    command.reason = "the price was decided late";
    return ask(command);
}

Reply House::top_up(const std::string& account, const std::string& amount, const std::string& key,
                    const std::string& body) {
    TopUp command;
    command.actor = "local";
    command.account = account;
    command.amount = amount;
    command.by = "s-01";
    command.idempotency_key = key;
    command.body_hash = body.empty() ? account + "/" + amount : body;
    return ask(command);
}

void House::pass(std::int64_t ms) {
    clock.pass(ms);
    engine_->step();
}

void House::feed(const std::string& meter, const Rational& face, bool confirming) {
    Sample sample;
    sample.meter = meter;
    sample.at = {engine_->snapshot()->run, clock.mono, clock.wall};
    sample.register_value = face;
    sample.confirming = confirming;
    if (const auto serial = serials.find(meter); serial != serials.end())
        sample.serial = serial->second;
    if (const auto ratio = ratios.find(meter); ratio != ratios.end())
        sample.device_ratio = ratio->second;
    if (const auto own = prepaying.find(meter); own != prepaying.end()) {
        sample.prepays = own->second;
        sample.prepays_text = own->second ? "prepays by itself, credit 80" : "not in use";
    }
    const auto milli = static_cast<std::uint64_t>(round_to_milli(face).value_or(Milli{}).count);
    for (int shift = 48; shift >= 0; shift -= 16)
        sample.raw.push_back(static_cast<std::uint16_t>(milli >> static_cast<unsigned>(shift)));
    engine_->sink().sample(std::move(sample));
}

void House::sample(const std::string& meter, const std::string& face) {
    const std::optional<Rational> value = parse_rational(face);
    REQUIRE(value);
    feed(meter, *value);
    engine_->step();
}

void House::settle(const std::string& meter, const std::string& face) {
    sample(meter, face);
    clock.pass(kSecond);
    sample(meter, face);
}

void House::fail(const std::string& meter) {
    PollFailure failure;
    failure.meter = meter;
    failure.at = {engine_->snapshot()->run, clock.mono, clock.wall};
    failure.detail = "no answer";
    failure.offline = true;
    engine_->sink().failure(failure);
    engine_->step();
}

AccountView House::account(const std::string& id) const {
    const auto now = engine_->snapshot();
    for (std::size_t i = 0; i < now->accounts.size(); ++i)
        if (now->accounts[i].account == id) return now->accounts[i];
    throw std::runtime_error("no account " + id);
}

MeterView House::meter(const std::string& id) const {
    const auto now = engine_->snapshot();
    for (std::size_t i = 0; i < now->meters.size(); ++i)
        if (now->meters[i].meter() == id) return now->meters[i];
    throw std::runtime_error("no meter " + id);
}

std::vector<StoredEvent> House::events(const std::string& kind) const {
    StoreReader reader(path());
    std::vector<StoredEvent> all;
    for (std::uint64_t after = 0;;) {
        auto some = reader.events_after(
            after, 1'000,
            kind.empty() ? std::vector<std::string>{} : std::vector<std::string>{kind});
        if (some.empty()) return all;
        after = some.back().seq;
        for (StoredEvent& event : some) all.push_back(std::move(event));
    }
}

std::vector<StoredEntry> House::entries(const std::string& account) const {
    StoreReader reader(path());
    return reader.ledger(account, 0, 100'000).items;
}

std::vector<std::string> House::book(const std::string& account) const {
    std::vector<std::string> rows;
    for (const StoredEntry& row : entries(account))
        rows.push_back(std::string(to_string(row.entry.kind)) + " " + format(row.entry.amount) +
                       " " + row.entry.cause);
    return rows;
}

std::vector<StoredReading> House::readings(const std::string& meter) const {
    StoreReader reader(path());
    ReadingFilter filter;
    filter.meter = meter;
    return reader.readings_after(0, 100'000, filter).items;
}

std::string House::proof() const {
    StoreReader reader(path());
    return reader
        .verify({},
                [&](AccountBooks& books, const std::function<void()>& breathe) {
                    return replay_proof(books, *zone_, breathe);
                })
        .first_bad;
}

std::string field(const std::string& json, const std::string& name) {
    const boost::json::value document = boost::json::parse(json);
    const auto* found = document.as_object().if_contains(name);
    if (found == nullptr) return "";
    if (found->is_string()) return std::string(found->as_string());
    return boost::json::serialize(*found);
}

}  // namespace gatehouse::testing
