// gatehouse.toml: what a whole file gives, and for each broken one the place and the words.
#include "daemon/config/config.hpp"

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/alert.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::config;

namespace {

// Lines 1 to 4; what a case adds begins in line 5.
const std::string kHead =
    "schema = 1\n"
    "[site]\n"
    "id = \"riverside\"\n"
    "timezone = \"Asia/Shanghai\"\n";

// column 0: wherever the TOML library says, which differs between its versions.
struct Broken {
    std::string text;
    int line;
    int column;
    std::string fragment;
};

std::string all(const Loaded& loaded) {
    std::string out;
    for (const auto& problem : loaded.problems) {
        out += to_string(problem) + "\n";
    }
    return out;
}

bool names(const Loaded& loaded, const Broken& broken) {
    for (const auto& problem : loaded.problems) {
        if (problem.line == broken.line &&
            (broken.column == 0 || problem.column == broken.column) &&
            problem.message.find(broken.fragment) != std::string::npos) {
            return true;
        }
    }
    return false;
}

void check_each(const std::vector<Broken>& cases) {
    for (const auto& broken : cases) {
        const auto loaded = parse(broken.text, "gatehouse.toml");
        INFO(broken.text << "\nexpected " << broken.line << ":" << broken.column << " "
                         << broken.fragment << "\ngot\n"
                         << all(loaded));
        CHECK(names(loaded, broken));
    }
}

std::vector<Broken> after_head(std::vector<Broken> cases) {
    for (auto& broken : cases) {
        broken.text = kHead + broken.text;
    }
    return cases;
}

class Folder {
  public:
    Folder() {
        std::string pattern = std::filesystem::temp_directory_path() / "gatehouse-XXXXXX";
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name) << text;
        return path_ / name;
    }
    [[nodiscard]] std::string path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace

TEST_CASE("the least configuration has the defaults of the contract") {
    const auto loaded = parse(kHead, "/etc/gatehouse/gatehouse.toml");
    INFO(all(loaded));
    REQUIRE(loaded.problems.empty());
    const Config& config = loaded.config;
    CHECK(config.site.id == "riverside");
    CHECK(config.site.name == "riverside");
    CHECK(config.site.currency == "CNY");
    CHECK(config.store.store_interval_ms == 900'000);
    CHECK_FALSE(config.mqtt.has_value());
    CHECK(config.http.socket == "/run/gatehouse/api.sock");
    CHECK(config.http.listen.empty());
    CHECK(config.alerts.base.low_balance == Fen{5000});
    CHECK(config.alerts.base.critical_days == 3);
    CHECK(config.alerts.base.amount_max_days == std::optional<int>(30));
    CHECK(config.alerts.quiet_from_minute == 18 * 60);
    CHECK(config.alerts.quiet_to_minute == 9 * 60);
}

TEST_CASE("every key of a whole configuration is read") {
    const auto loaded = parse(R"(schema = 1
[site]
id = "riverside"
name = "Riverside Garden"
timezone = "Europe/Berlin"
currency = "EUR"
language = "en"
[store]
path = "books.db"
store_interval = "1h"
[time]
trust = "manual"
[mqtt]
url = "mqtts://broker.example"
topic_root = "a/b"
client_id = "gh-1"
username = "gatehouse"
password_file = "mqtt.password"
ca_file = "/etc/ca.pem"
cert_file = "/etc/cert.pem"
key_file = "/etc/key.pem"
homeassistant = true
homeassistant_prefix = "ha"
[http]
listen = "0.0.0.0:8470"
tls_cert_file = "/etc/cert.pem"
tls_key_file = "/etc/key.pem"
socket = "/run/x.sock"
metrics_meters = true
[alerts]
low_balance = "60.00"
low_days = 8
critical_balance = "20"
critical_days = 4
clear_margin = "6.5"
amount_max_days = "never"
quiet_hours = "none"
[alerts.water]
low_balance = "20.00"
critical_balance = "5.00"
[alerts.electricity.shop]
low_days = 9
amount_max_days = 5
[profiles]
path = "meters"
[[bus]]
id = "b1"
url = "modbus+tcp://127.0.0.1:1502?tid=no&gap=20ms"
poll_interval = "15s"
response_timeout = "250ms"
[[bus]]
id = "b2"
url = "modbus+rtu-tcp://gateway.example:4001?line_baud=4800&line_parity=even&echo=yes&dial_in=yes"
[[bus]]
id = "b3"
url = "modbus+rtu:///dev/rs485/b1?baud=19200&parity=odd&stop_bits=2"
[[cabinet]]
id = "kc-01"
url = "modbus+tcp://127.0.0.1:1510?address=1"
profile = "kcm-1"
[[cabinet]]
id = "kc-02"
url = "mqtt:"
profile = "kcm-2"
)",
                              "/etc/gatehouse/gatehouse.toml");
    INFO(all(loaded));
    REQUIRE(loaded.problems.empty());
    const Config& c = loaded.config;
    CHECK(c.site.language == Language::en);
    CHECK(c.store.store_interval_ms == 3'600'000);
    CHECK(c.trust == ClockTrust::manual);
    REQUIRE(c.mqtt);
    CHECK(c.mqtt->tls);
    CHECK(c.mqtt->host == "broker.example");
    CHECK(c.mqtt->port == 8883);
    CHECK(c.mqtt->password_file == "/etc/gatehouse/mqtt.password");
    CHECK(c.mqtt->homeassistant);
    CHECK(c.http.listen_host == "0.0.0.0");
    CHECK(c.http.listen_port == 8470);
    CHECK(c.http.metrics_meters);
    CHECK(c.alerts.base.clear_margin == Fen{650});
    REQUIRE(c.alerts.base.amount_max_days);
    CHECK_FALSE(c.alerts.base.amount_max_days->has_value());
    CHECK(c.alerts.quiet_from_minute == c.alerts.quiet_to_minute);
    CHECK(c.alerts.overrides.at("water").low_balance == Fen{2000});
    CHECK(c.alerts.overrides.at("electricity.shop").low_days == 9);
    CHECK_FALSE(c.alerts.overrides.at("electricity.shop").low_balance.has_value());
    CHECK(c.profiles_path == "/etc/gatehouse/meters");
    REQUIRE(c.buses.size() == 3);
    CHECK_FALSE(c.buses[0].url.transaction_id_echoed);
    CHECK(c.buses[0].url.gap_ms == 20);
    CHECK(c.buses[0].poll_interval_ms == 15'000);
    CHECK(c.buses[0].response_timeout_ms == 250);
    CHECK(c.buses[0].url.baud == 0);
    CHECK(c.buses[1].url.transport == Transport::rtu_over_tcp);
    CHECK(c.buses[1].url.host == "gateway.example");
    CHECK(c.buses[1].url.port == 4001);
    CHECK(c.buses[1].url.baud == 4800);
    CHECK(c.buses[1].url.parity == Parity::even);
    CHECK(c.buses[1].url.local_echo);
    CHECK(c.buses[1].url.dial_in);
    CHECK(c.buses[2].url.device == "/dev/rs485/b1");
    CHECK(c.buses[2].url.baud == 19'200);
    CHECK(c.buses[2].url.parity == Parity::odd);
    CHECK(c.buses[2].url.stop_bits == 2);
    REQUIRE(c.cabinets.size() == 2);
    REQUIRE(c.cabinets[0].bus);
    CHECK(c.cabinets[0].bus->port == 1'510);
    CHECK(c.cabinets[0].address == 1);
    CHECK_FALSE(c.cabinets[0].poll_interval_ms);
    CHECK_FALSE(c.cabinets[1].bus);
}

TEST_CASE("what is wrong before the sections is named at its place") {
    check_each({
        {"", 1, 1, "schema is missing"},
        {"schema = 1\n", 1, 1, "[site] is missing"},
        {"schema = 2\n", 1, 10, "reads schema 1"},
        {"schema = \"1\"\n", 1, 10, "must be a whole number without quotes, not a string"},
        {"schema = 1\nsite = 3\n", 2, 8, "site must be a table, not an integer"},
        {"schema = 1\n[site\n", 2, 0, "not valid TOML"},
        {"schema = 1\nschema = 1\n", 2, 0, "not valid TOML"},
        {"schema = 1\n[site]\nid = \"x\n", 3, 0, "not valid TOML"},
        {"schema = 1\n\n[site]\ntimezone = \"UTC\"\n", 3, 1, "site.id is missing"},
        {"schema = 1\n[site]\nid = \"a\"\n", 2, 1, "site.timezone is missing"},
        {"schema = 1\n[site]\nid = \"A b\"\n", 3, 6, "1 to 64 characters of a-z 0-9 -"},
        {"schema = 1\n[site]\nid = \"" + std::string(65, 'a') + "\"\n", 3, 6, "1 to 64"},
        {"schema = 1\n[site]\nid = 5\n", 3, 6, "must be a string in quotes, not an integer"},
        {"schema = 1\n[site]\ntimezone = \"Asia/Shangai\"\n", 3, 12,
         "did you mean 'Asia/Shanghai'?"},
        {"schema = 1\n[site]\ntimezone = \"Asia\"\n", 3, 12, "no time zone"},
        {"schema = 1\n[site]\ntimezone = \"../passwd\"\n", 3, 12, "no time zone"},
        {"schema = 1\n[site]\ncurrency = \"JPY\"\n", 3, 12, "no hundredths"},
        {"schema = 1\n[site]\ncurrency = \"CNX\"\n", 3, 12, "did you mean 'CNY'?"},
        {"schema = 1\n[site]\nlanguage = \"zh-cn\"\n", 3, 12, "did you mean 'zh-CN'?"},
        {"schema = 1\n[site]\ntimezon = \"UTC\"\n", 3, 1, "did you mean 'timezone'?"},
        {"schema = 1\n[site]\nname = \"a\\tb\"\n", 3, 8, "control character"},
        {"schema = 1\n[site]\nname = \"" + std::string(5000, 'a') + "\"\n", 3, 8, "at most 4096"},
        {"schema = 1\n[sit]\n", 2, 2, "unknown key 'sit'; did you mean 'site'?"},
    });
}

TEST_CASE("alert tables by service and use hold as they are written, the narrowest first") {
    const auto loaded = parse(kHead + R"(
[alerts]
low_balance = "60.00"
low_days = 8
[alerts.electricity]
low_balance = "55.00"
[alerts.electricity.shop]
low_balance = "500.00"
critical_balance = "100.00"
[alerts.electricity.common]
low_days = 0
critical_days = 0
[alerts.water]
low_balance = "20.00"
critical_balance = "5.00"
clear_margin = "2.00"
[alerts.water.home]
low_balance = "15.00"
amount_max_days = "never"
[alerts.all]
low_balance = "80.00"
[alerts.all.home]
low_days = 10
[alerts.all.shop]
critical_balance = "70.00"
clear_margin = "9.00"
)",
                              "gatehouse.toml");
    INFO(all(loaded));
    REQUIRE(loaded.problems.empty());
    using S = AccountService;
    constexpr std::optional<int> kNever;
    struct Row {
        S service;
        Use use;
        int low, critical, margin;  // yuan
        int low_days, critical_days;
        std::optional<int> max_days;
    };
    const Row rows[] = {
        {S::electricity, Use::home, 55, 10, 5, 8, 3, 30},
        {S::electricity, Use::shop, 500, 100, 5, 8, 3, 30},
        {S::electricity, Use::common, 55, 10, 5, 0, 0, 30},
        {S::water, Use::home, 15, 5, 2, 8, 3, kNever},
        {S::water, Use::shop, 20, 5, 2, 8, 3, 30},
        {S::all, Use::home, 80, 10, 5, 10, 3, 30},
        {S::all, Use::shop, 80, 70, 9, 8, 3, 30},
        {S::all, Use::common, 80, 10, 5, 8, 3, 30},
    };
    for (const Row& row : rows) {
        CAPTURE(to_string(row.service), to_string(row.use));
        Account account;
        account.service = row.service;
        const Thresholds got = thresholds_of(account, row.use, loaded.config.alerts);
        CHECK(got == Thresholds{Fen{row.low * 100}, Fen{row.critical * 100}, Fen{row.margin * 100},
                                Fen{0}, row.low_days, row.critical_days, row.max_days});
    }
}

TEST_CASE("what is wrong in store, time, alerts and profiles is named at its place") {
    check_each(after_head({
        {"[store]\npath = \"\"\n", 6, 8, "must name a file"},
        {"[store]\nstore_interval = \"7m\"\n", 6, 18, "divide a day evenly"},
        {"[store]\nstore_interval = \"15 m\"\n", 6, 18, "such as \"250ms\""},
        {"[store]\nstore_interval = \"25h\"\n", 6, 18, "from 1s to 24h"},
        {"[store]\nstore_interval = 15\n", 6, 18, "must be a string in quotes"},
        {"[store]\nintervall = \"1h\"\n", 6, 1, "unknown key 'store.intervall'"},
        {"[time]\ntrust = \"atuo\"\n", 6, 9, "did you mean 'auto'?"},
        {"[alerts]\nlow_balance = \"50.001\"\n", 6, 15, "write an amount"},
        {"[alerts]\nlow_balance = 50.0\n", 6, 15, "not a floating-point number"},
        {"[alerts]\nlow_balance = \"-1.00\"\n", 6, 15, "not negative"},
        {"[alerts]\ncritical_balance = \"60.00\"\n", 6, 20, "above low_balance 50.00"},
        {"[alerts]\ncritical_days = 8\n", 6, 17, "above low_days 7"},
        {"[alerts]\nlow_days = 400\n", 6, 12, "from 0 to 365"},
        {"[alerts]\namount_max_days = \"nul\"\n", 6, 19, "\"never\" for no limit"},
        {"[alerts]\nquiet_hours = \"18:00\"\n", 6, 15, "two different times"},
        {"[alerts]\nquiet_hours = \"18:00-18:00\"\n", 6, 15, "two different times"},
        {"[alerts]\nquiet_hours = \"18:00-25:00\"\n", 6, 15, "two different times"},
        {"[alerts.watter]\nlow_days = 1\n", 5, 9, "did you mean 'water'?"},
        {"[alerts.water.shopp]\nlow_days = 1\n", 5, 15, "did you mean 'shop'?"},
        {"[alerts.water]\nlow_balance = \"5.00\"\n", 5, 1,
         "alerts.water.critical_balance is 10.00, above low_balance 5.00"},
        {"[alerts.water]\nquiet_hours = \"18:00-09:00\"\n", 6, 1, "unknown key"},
        {"[profiles]\npaths = \"x\"\n", 6, 1, "did you mean 'path'?"},
    }));
}

TEST_CASE("what is wrong with brokers and listeners is named at its place") {
    check_each(after_head({
        {"[mqtt]\n", 5, 1, "mqtt.url is missing"},
        {"[mqtt]\nurl = \"tcp://a:1883\"\n", 6, 7, "must begin with mqtt://"},
        {"[mqtt]\nurl = \"mqtt://a:0\"\n", 6, 7, "from 1 to 65535"},
        {"[mqtt]\nurl = \"mqtt://u:p@a\"\n", 6, 7, "user name"},
        {"[mqtt]\nurl = \"mqtt://\"\n", 6, 7, "no host name"},
        {"[mqtt]\nurl = \"mqtt://[::1\"\n", 6, 7, "bracket"},
        {"[mqtt]\nurl = \"mqtt://a\"\ntopic_root = \"a/#\"\n", 7, 14, "without blank"},
        {"[mqtt]\nurl = \"mqtt://a\"\ntopic_root = \"/a\"\n", 7, 14, "no empty level"},
        {"[mqtt]\nurl = \"mqtt://a\"\nhomeassistant_prefix = \"\"\n", 7, 24, "1 to 128"},
        {"[mqtt]\nurl = \"mqtt://a\"\nclient_id = \"a b\"\n", 7, 13, "printable ASCII"},
        {"[mqtt]\nurl = \"mqtt://a\"\nusername = \"a\"\n", 7, 12, "needs password_file"},
        {"[mqtt]\nurl = \"mqtt://a\"\npassword_file = \"/a\"\n", 7, 17, "needs username"},
        {"[mqtt]\nurl = \"mqtts://a\"\ncert_file = \"/a\"\n", 7, 13, "needs key_file"},
        {"[mqtt]\nurl = \"mqtt://a\"\nca_file = \"/a\"\n", 7, 11, "needs TLS"},
        {"[mqtt]\nurl = \"mqtt://a\"\nhomeassistant = \"yes\"\n", 7, 17, "true or false"},
        {"[http]\nlisten = \"8470\"\n", 6, 10, "port is missing"},
        {"[http]\nlisten = \"0.0.0.0:8470\"\n", 6, 10, "tls_cert_file and tls_key_file"},
        {"[http]\nlisten = \"[::]:8470\"\n", 6, 10, "tls_cert_file and tls_key_file"},
        {"[http]\nlisten = \"box.example:8470\"\n", 6, 10, "address of this machine"},
        {"[http]\nlisten = \"127.0.0.1:1\"\ntls_cert_file = \"/a\"\n", 7, 17, "needs tls_key_file"},
        {"[http]\ntls_cert_file = \"/a\"\ntls_key_file = \"/b\"\n", 6, 17, "without http.listen"},
        {"[http]\nsocket = \"api.sock\"\n", 6, 10, "whole path"},
        {"[http]\nsocket = \"/" + std::string(107, 'a') + "\"\n", 6, 10, "107 bytes"},
        {"[http]\nmetric_meters = true\n", 6, 1, "did you mean 'metrics_meters'?"},
    }));
}

TEST_CASE("what is wrong with buses and cabinets is named at its place") {
    const std::string bus = "[[bus]]\nid = \"b1\"\nurl = ";
    check_each(after_head({
        {"[bus]\nid = \"b1\"\n", 5, 1, "bus must be an array, not a table"},
        {"[[bus]]\nurl = \"modbus+tcp://a\"\n", 5, 1, "bus.id is missing"},
        {"[[bus]]\nid = \"b1\"\n", 5, 1, "bus.url is missing"},
        {"[[bus]]\nid = \"b 1\"\n", 6, 6, "identifiers are 1 to 64"},
        {bus + "\"modbus+rtu-tpc://a:1\"\n", 7, 7, "did you mean 'modbus+rtu-tcp'?"},
        {bus + "\"modbus+tcp:/a\"\n", 7, 7, "must begin with one of"},
        {bus + "\"modbus+rtu-tcp://a\"\n", 7, 7, "port is missing"},
        {bus + "\"modbus+tcp://a:70000\"\n", 7, 7, "from 1 to 65535"},
        {bus + "\"modbus+tcp://a_b c\"\n", 7, 7, "no host name"},
        {bus + "\"modbus+tcp://a:1?tdi=no\"\n", 7, 7, "did you mean 'tid'?"},
        {bus + "\"modbus+tcp://a:1?tid=maybe\"\n", 7, 7, "must be yes or no"},
        {bus + "\"modbus+tcp://a:1?gap=1m\"\n", 7, 7, "up to 10s"},
        {bus + "\"modbus+tcp://a:1?baud=9600\"\n", 7, 7, "did you mean 'line_baud'?"},
        {bus + "\"modbus+tcp://a:1?address=1\"\n", 7, 7, "unknown option 'address'"},
        {bus + "\"modbus+rtu-tcp://a:1?tid=no\"\n", 7, 7, "unknown option 'tid'"},
        {bus + "\"modbus+rtu-tcp://a:1?line_baud=9601\"\n", 7, 7, "1200, 2400, 4800, 9600"},
        {bus + "\"modbus+rtu://dev/ttyUSB0\"\n", 7, 7, "three slashes"},
        {bus + "\"modbus+rtu:///dev/a?baud=14400\"\n", 7, 7, "must be one of 1200"},
        {bus + "\"modbus+rtu:///dev/a?parity=evn\"\n", 7, 7, "did you mean 'even'?"},
        {bus + "\"modbus+rtu:///dev/a?stop_bits=3\"\n", 7, 7, "1 or 2"},
        {bus + "\"modbus+rtu:///dev/a?echo=yes&echo=no\"\n", 7, 7, "given twice"},
        {bus + "\"modbus+tcp://a\"\npoll_interval = \"50ms\"\n", 8, 17, "from 100ms to 24h"},
        {bus + "\"modbus+tcp://a\"\nresponse_timeout = \"2h\"\n", 8, 20, "from 20ms to 1m"},
        {bus + "\"modbus+tcp://a\"\nresponse_time = \"2s\"\n", 8, 1, "unknown key"},
        {bus + "\"modbus+tcp://a\"\n" + bus + "\"modbus+tcp://b\"\n", 9, 6,
         "'b1' is already used in line 6"},
        {bus + "\"modbus+rtu:///dev/a\"\n[[bus]]\nid = \"b2\"\nurl = \"modbus+rtu:///dev/a\"\n", 10,
         7, "'/dev/a' is already used in line 7"},
        {bus + "\"modbus+tcp://a\"\n[[bus]]\nid = \"b2\"\nurl = \"modbus+rtu-tcp://A:502\"\n", 10,
         7, "a:502 is already a bus, in line 7; put the meters of both on one [[bus]]"},
        {"[[cabinet]]\nid = \"k\"\nurl = \"http:\"\n", 5, 1, "cabinet.profile is missing"},
        {"[[cabinet]]\nid = \"k\"\nurl = \"mqtt:\"\nprofile = \"p\"\n", 7, 7, "no [mqtt]"},
        {"[[cabinet]]\nid = \"k\"\nurl = \"ftp:\"\nprofile = \"p\"\n", 7, 7, "mqtt:, http:"},
        {"[[cabinet]]\nid = \"k\"\nurl = \"modbus+tcp://a?address=300\"\nprofile = \"p\"\n", 7, 7,
         "from 1 to 247"},
        {bus + "\"modbus+rtu:///dev/a\"\n[[cabinet]]\nid = \"k\"\nprofile = \"p\"\n"
               "url = \"modbus+rtu:///dev/a?address=9\"\n",
         11, 7, "the line of bus b1"},
        {"[[cabinet]]\nid = \"k\"\nurl = \"modbus+tcp://a\"\nprofile = \"p\"\npoll_interval = "
         "\"1ms\"\n",
         9, 17, "poll_interval"},
        {"[[cabinet]]\nid = \"k\"\nurl = \"http:\"\nprofile = \"p\"\npoll_interval = \"1s\"\n", 9,
         1, "poll_interval"},
    }));
}

TEST_CASE("all problems of one file come at once and in the file's words") {
    const auto loaded =
        parse("schema = 2\n[site]\nid = \"A\"\ntimezone = \"x\"\n[http]\nlisten = \"1\"\nfoo = 1\n",
              "gatehouse.toml");
    CHECK(loaded.problems.size() == 5);
    CHECK(to_string(loaded.problems.front()).starts_with("gatehouse.toml:1:10: schema is 2"));
}

TEST_CASE("there are as many buses as threads serve and no more") {
    std::string text = kHead;
    for (int i = 0; i < 65; ++i) {
        const auto n = std::to_string(i);
        text += "[[bus]]\nid = \"b" + n + "\"\nurl = \"modbus+rtu:///dev/tty" + n + "\"\n";
        if (i == 63) {
            CHECK(parse(text, "g.toml").problems.empty());
        }
    }
    const auto loaded = parse(text, "g.toml");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].message.find("number 65") != std::string::npos);
}

TEST_CASE("a file above the limit is refused unread") {
    const auto loaded = parse("schema = 1\n#" + std::string(1024 * 1024, 'a'), "g.toml");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].message.find("split it") != std::string::npos);
}

TEST_CASE("files are asked for only where the check says so") {
    const Folder folder;
    const auto path =
        folder.file("gatehouse.toml", kHead +
                                          "[mqtt]\nurl = \"mqtts://a\"\nusername = \"u\"\n"
                                          "password_file = \"secret\"\nca_file = \".\"\n");
    CHECK(load(path).problems.empty());
    const auto checked = load(path, FileCheck::readable);
    INFO(all(checked));
    REQUIRE(checked.problems.size() == 2);
    CHECK(checked.problems[0].line == 8);
    CHECK(checked.problems[0].message.find("does not exist") != std::string::npos);
    CHECK(checked.problems[1].message.find("is a folder") != std::string::npos);
    CHECK_FALSE(folder.file("secret", "x").empty());
    CHECK(load(path, FileCheck::readable).problems.size() == 1);
}

TEST_CASE("files that would fail later are named where they are written") {
    const Folder folder;
    const auto path = folder.file(
        "gatehouse.toml",
        kHead +
            "[store]\npath = \"/nonexistent/of-nobody/g.db\"\n[mqtt]\nurl = \"mqtt://a\"\n"
            "username = \"u\"\npassword_file = \"secret\"\n[http]\n"
            "listen = \"127.0.0.1:8470\"\ntls_cert_file = \"c\"\ntls_key_file = \"k\"\n");
    const auto give = [&](const char* name, const char* text) {
        CHECK_FALSE(folder.file(name, text).empty());
    };
    give("secret", "\n");
    give("c", "no certificate");
    give("k", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    CHECK(load(path).problems.empty());
    const auto checked = load(path, FileCheck::readable);
    INFO(all(checked));
    REQUIRE(checked.problems.size() == 4);
    CHECK(all(checked).find("'/nonexistent/of-nobody' of the database does not exist; make it") !=
          std::string::npos);
    CHECK(all(checked).find("secret' is empty; write") != std::string::npos);
    CHECK(all(checked).find("c' holds no CERTIFICATE in PEM") != std::string::npos);
    CHECK(all(checked).find("k' holds no PRIVATE KEY in PEM") != std::string::npos);
    for (const Problem& problem : checked.problems) CHECK(problem.line > 0);
    give("secret", "word\n");
    give("c", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    give("k", "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n");
    CHECK(load(path, FileCheck::readable).problems.size() == 1);
}

namespace {

// Of nobody: made for this test, as the second key was.
constexpr const char* kCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBbzCCARWgAwIBAgIUJiMTLQFfQIQtRyvIAVbmMTuxGXYwCgYIKoZIzj0EAwIw\n"
    "DDEKMAgGA1UEAwwBdDAgFw0yNjExMjcwNTA5MjNaGA8yMTI2MTEwMzA1MDkyM1ow\n"
    "DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOcbG0NreZDW\n"
    "M12c1G79gY9E9JI001jUGc86DNbBqQM88Wwxy7xR5CKTbWD4Vie4axfB/bvHFTEe\n"
    "H7jeYK8UM3ujUzBRMB0GA1UdDgQWBBTUpNo1FAv2BmGBAUGgHO7SaBv3ozAfBgNV\n"
    "HSMEGDAWgBTUpNo1FAv2BmGBAUGgHO7SaBv3ozAPBgNVHRMBAf8EBTADAQH/MAoG\n"
    "CCqGSM49BAMCA0gAMEUCIGerN7T7E461Dv6/1iOlY/GKlH55vvLQhFzI5YJncAe3\n"
    "AiEAuAah+gcbmPaIFOYq1c+9ccqJyXdhvzRi2IRRGhK9xWY=\n"
    "-----END CERTIFICATE-----\n";
constexpr const char* kItsKey =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIBdVs0sMhVJi6Pt8pP39RgyUJ5kS3fWpFXmD8U29IU25oAoGCCqGSM49\n"
    "AwEHoUQDQgAE5xsbQ2t5kNYzXZzUbv2Bj0T0kjTTWNQZzzoM1sGpAzzxbDHLvFHk\n"
    "IpNtYPhWJ7hrF8H9u8cVMR4fuN5grxQzew==\n"
    "-----END EC PRIVATE KEY-----\n";
constexpr const char* kAnotherKey =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIDVJNpRcyJHxV2bdat9xTFeCTTH+b9ntqlSMg0OHech5oAoGCCqGSM49\n"
    "AwEHoUQDQgAEUHR4DRpUvzORbKZ1kXHXxywM5WaOnTNF+4KiKWTwctkf2bRqjQjw\n"
    "n6+YJmDnoVA6DHYedYE6mBHtMpRYVimZuQ==\n"
    "-----END EC PRIVATE KEY-----\n";

}  // namespace

TEST_CASE("a key that is another certificate's is named, for the listener and for the broker") {
    const Folder folder;
    const auto path =
        folder.file("gatehouse.toml", kHead +
                                          "[mqtt]\nurl = \"mqtts://a\"\ncert_file = \"c\"\n"
                                          "key_file = \"k\"\n[http]\nlisten = \"127.0.0.1:8470\"\n"
                                          "tls_cert_file = \"c\"\ntls_key_file = \"k\"\n");
    CHECK_FALSE(folder.file("c", kCertificate).empty());
    CHECK_FALSE(folder.file("k", kAnotherKey).empty());
    CHECK(load(path).problems.empty());
    const auto checked = load(path, FileCheck::readable);
    INFO(all(checked));
    REQUIRE(checked.problems.size() == 2);
    CHECK(checked.problems[0].line == 8);
    CHECK(checked.problems[0].message.find("mqtt.key_file: ") == 0);
    CHECK(checked.problems[1].line == 12);
    CHECK(checked.problems[1].message.find("is not the key of the certificate") !=
          std::string::npos);
    CHECK_FALSE(folder.file("k", kItsKey).empty());
    CHECK(load(path, FileCheck::readable).problems.empty());
}

TEST_CASE("a store that names a folder is refused, and a folder of profiles keeps its place") {
    for (const char* path : {".", "..", "sub/.", "sub/", "/"}) {
        INFO(path);
        const auto loaded = parse(kHead + "[store]\npath = \"" + path + "\"\n", "g.toml");
        REQUIRE(loaded.problems.size() == 1);
        CHECK(loaded.problems[0].line == 6);
        CHECK(loaded.problems[0].message.find("must name a file") != std::string::npos);
    }
    const Folder folder;
    const auto path = folder.file("gatehouse.toml", kHead +
                                                        "[store]\npath = \"/tmp\"\n[profiles]\n"
                                                        "path = \"/nonexistent\"\n");
    const auto checked = load(path, FileCheck::readable);
    INFO(all(checked));
    REQUIRE(checked.problems.size() == 1);
    CHECK(checked.problems[0].message.find("is a folder, not a file") != std::string::npos);
    CHECK(checked.config.profiles_line == 8);
    CHECK(checked.config.profiles_column == 8);
}

TEST_CASE("a configuration that is not there is a problem of its own") {
    const auto loaded = load("/nonexistent/gatehouse.toml");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].message.find("--config") != std::string::npos);
    CHECK(load("/tmp").problems.size() == 1);
}

TEST_CASE("the state directory is systemd's first, else the configuration's folder") {
    Config config;
    config.file = "/etc/gatehouse/gatehouse.toml";
    CHECK(state_directory(config, "/var/lib/gatehouse:/var/lib/other") == "/var/lib/gatehouse");
    CHECK(state_directory(config, nullptr) == "/etc/gatehouse");
    CHECK(state_directory(config, "") == "/etc/gatehouse");
    config.file = "gatehouse.toml";
    CHECK(state_directory(config, nullptr) == ".");
    CHECK(database_path(config, "/var/lib/gatehouse") == "/var/lib/gatehouse/gatehouse.db");
    config.store.path = "/srv/books.db";
    CHECK(database_path(config, "/var/lib/gatehouse") == "/srv/books.db");
}
