#include "drivers/simulator/control.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <sstream>
#include <utility>
#include <vector>

namespace gatehouse::simulator {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

std::string answered(const std::string& problem) {
    return problem.empty() ? "ok\n" : "error: " + problem + "\n";
}

std::string list_truth(Building& building, const std::string& meter, std::int64_t now_ms) {
    std::string lines;
    for (const Truth& truth : building.truth(now_ms)) {
        if (meter.empty() || truth.meter == meter) {
            lines += "{" + truth_json(truth) + "}\n";
        }
    }
    if (lines.empty() && !meter.empty()) {
        return answered("meter '" + meter + "' is not simulated here");
    }
    return lines + "ok\n";
}

std::string change_fault(Building& building, const std::string& text) {
    const ParsedFault parsed = parse_fault(text);
    if (!parsed.problem.empty()) {
        return answered(parsed.problem);
    }
    for (const FaultRule& rule : parsed.rules) {
        if (!rule.meter.empty() && !building.knows(rule.meter)) {
            return answered("meter '" + rule.meter + "' is not simulated here");
        }
    }
    for (const FaultRule& rule : parsed.rules) {
        building.add_fault(rule);
    }
    return answered("");
}

}  // namespace

const char* command_help() {
    return "truth [METER]                   what the registers truly hold\n"
           "set METER REGISTER              put the register there; it counts on from it\n"
           "replace METER SERIAL REGISTER   another meter hangs there now\n"
           "dead METER | alive METER        a meter that never answers\n"
           "stuck METER | free METER        a register that stands still\n"
           "fault NAME=PROBABILITY[@METER]  as --fault\n"
           "calm                            no fault strikes any more\n"
           "speed N                         as --speed\n"
           "help\n";
}

std::string truth_json(const Truth& truth) {
    std::string text = R"("meter":")" + truth.meter + R"(","register":")" +
                       modbus::format_rational(truth.value) + '"';
    if (!truth.fault.empty()) {
        text += R"(,"fault":")" + truth.fault + '"';
    }
    return text;
}

std::string run_command(Building& building, const std::string& line, std::int64_t now_ms) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(std::move(word));
    }
    const std::string verb = words.empty() ? "" : words[0];
    const std::size_t count = words.size();
    if (verb == "help" && count == 1) {
        return std::string(command_help()) + cabinet_help() + "ok\n";
    }
    if (verb == "truth" && count <= 2) {
        return list_truth(building, count == 2 ? words[1] : "", now_ms);
    }
    if (verb == "set" && count == 3) {
        return answered(building.set_register(words[1], words[2], now_ms));
    }
    if (verb == "replace" && count == 4) {
        return answered(building.replace(words[1], words[2], words[3], now_ms));
    }
    if ((verb == "dead" || verb == "alive") && count == 2) {
        return answered(building.set_dead(words[1], verb == "dead"));
    }
    if ((verb == "stuck" || verb == "free") && count == 2) {
        return answered(building.set_stuck(words[1], verb == "stuck", now_ms));
    }
    if (verb == "fault" && count == 2) {
        return change_fault(building, words[1]);
    }
    if (verb == "cabinet" && count >= 3) {
        Cabinet* const cabinet = building.find_cabinet(words[1]);
        if (cabinet == nullptr) {
            return answered("cabinet '" + words[1] + "' is not simulated here");
        }
        std::string what = words[2];
        for (std::size_t i = 3; i < count; ++i) {
            what += " " + words[i];
        }
        cabinet->advance(now_ms);
        return answered(cabinet->act(what, now_ms));
    }
    if (verb == "calm" && count == 1) {
        building.clear_faults();
        return answered("");
    }
    if (verb == "speed" && count == 2) {
        const std::optional<std::int64_t> speed = parse_decimal(words[1], 0);
        return answered(building.set_speed(speed.value_or(0), now_ms));
    }
    return "error: '" + line + "' is no command here; say help\n";
}

struct Control::Impl : std::enable_shared_from_this<Control::Impl> {
    struct Client {
        explicit Client(tcp::socket s) : socket(std::move(s)) {}
        tcp::socket socket;
        std::string in, out;
    };

    Impl(asio::io_context& context, Building& b, Now n)
        : acceptor(context), building(b), now(std::move(n)) {}

    void accept() {
        acceptor.async_accept([self = shared_from_this()](const Error& error, tcp::socket socket) {
            if (!self->acceptor.is_open()) {
                return;
            }
            if (!error && self->clients < kControllersMax) {
                ++self->clients;
                self->serve(std::make_shared<Client>(std::move(socket)));
            }
            self->accept();
        });
    }

    void serve(const std::shared_ptr<Client>& client) {
        asio::async_read_until(
            client->socket, asio::dynamic_buffer(client->in, kCommandBytesMax), '\n',
            [self = shared_from_this(), client](const Error& error, std::size_t size) {
                if (error || !self->acceptor.is_open()) {
                    --self->clients;
                    return;
                }
                std::string line = client->in.substr(0, size - 1);
                client->in.erase(0, size);
                if (!line.empty() && line.back() == '\r') {
                    line.pop_back();
                }
                client->out = run_command(self->building, line, self->now());
                self->answer(client);
            });
    }

    void answer(const std::shared_ptr<Client>& client) {
        asio::async_write(client->socket, asio::buffer(client->out),
                          [self = shared_from_this(), client](const Error& error, std::size_t) {
                              if (error) {
                                  --self->clients;
                                  return;
                              }
                              self->serve(client);
                          });
    }

    tcp::acceptor acceptor;
    Building& building;
    Now now;
    std::size_t clients = 0;
};

Control::Control(asio::io_context& context, Building& building, Now now)
    : impl_(std::make_shared<Impl>(context, building, std::move(now))) {}

Control::~Control() {
    close();
}

std::string Control::open(int port) {
    Error error;
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(),
                                 static_cast<std::uint16_t>(port));
    static_cast<void>(impl_->acceptor.open(endpoint.protocol(), error));
    if (!error) {
        static_cast<void>(impl_->acceptor.set_option(tcp::acceptor::reuse_address(true), error));
        static_cast<void>(impl_->acceptor.bind(endpoint, error));
    }
    if (!error) {
        static_cast<void>(impl_->acceptor.listen(asio::socket_base::max_listen_connections, error));
    }
    if (error) {
        return "control: cannot listen on 127.0.0.1:" + std::to_string(port) + ": " +
               error.message();
    }
    impl_->accept();
    return "";
}

int Control::port() const {
    Error error;
    return impl_->acceptor.local_endpoint(error).port();
}

void Control::close() {
    Error ignored;
    static_cast<void>(impl_->acceptor.close(ignored));
}

}  // namespace gatehouse::simulator
