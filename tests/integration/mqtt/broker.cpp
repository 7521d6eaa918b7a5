#include "tests/integration/mqtt/broker.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mqtt/async_client.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace gatehouse::test {
namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                       ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(socket);
    if (!bound) throw std::runtime_error("no free port");
    return ntohs(address.sin_port);
}

bool accepts(int port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(port);
    const bool yes = ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    return yes;
}

}  // namespace

TempFolder::TempFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "gatehouse-mqtt-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
}

TempFolder::~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

pid_t start_program(const std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 0);
        ::dup2(null, 1);
        ::dup2(null, 2);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    if (pid < 0) throw std::runtime_error("fork failed");
    return pid;
}

void run_program(const std::vector<std::string>& arguments) {
    int status = 0;
    const pid_t pid = start_program(arguments);
    if (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw std::runtime_error(arguments.front() + " failed");
    }
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

Broker::Broker(std::vector<std::string> lines) : lines_(std::move(lines)), port_(free_port()) {}

Broker::~Broker() {
    if (pid_ > 0) kill_hard();
}

void Broker::start() {
    std::string text = "listener " + std::to_string(port_) + " 127.0.0.1\npersistence false\n";
    // As root mosquitto would become another user, who cannot read the test's folder.
    if (::geteuid() == 0) text += "user root\n";
    // What is on its way to a subscriber is never dropped here, so a gap is the publisher's fault.
    text += "max_queued_messages 0\n";
    for (const std::string& line : lines_) text += line + "\n";
    write_file(folder_.file("mosquitto.conf"), text);
    const char* program =
        ::access("/usr/sbin/mosquitto", X_OK) == 0 ? "/usr/sbin/mosquitto" : "mosquitto";
    pid_ = start_program({program, "-c", folder_.file("mosquitto.conf")});
    if (!eventually([this] { return accepts(port_); })) {
        throw std::runtime_error("mosquitto does not start");
    }
}

void Broker::kill_hard() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void Broker::pause() {
    ::kill(pid_, SIGSTOP);
}
void Broker::go_on() {
    ::kill(pid_, SIGCONT);
}

struct Subscriber::Impl {
    mutable std::mutex mutex;
    std::vector<Heard> heard;
    std::unique_ptr<::mqtt::async_client> client;
};

Subscriber::Subscriber(int port, const std::string& client_id, const std::string& username,
                       const std::string& password)
    : impl_(std::make_unique<Impl>()) {
    impl_->client = std::make_unique<::mqtt::async_client>(
        "tcp://127.0.0.1:" + std::to_string(port), client_id);
    impl_->client->set_message_callback([this](const ::mqtt::const_message_ptr& message) {
        const std::lock_guard lock(impl_->mutex);
        impl_->heard.push_back({message->get_topic(), message->to_string(), message->get_qos(),
                                message->is_retained()});
    });
    ::mqtt::connect_options_builder options;
    options.clean_session(true);
    if (!username.empty()) options.user_name(username).password(password);
    impl_->client->connect(options.finalize())->wait();
    impl_->client->subscribe("#", 1)->wait();
}

Subscriber::~Subscriber() {
    try {
        impl_->client->disconnect(0)->wait_for(std::chrono::seconds(5));
    } catch (const ::mqtt::exception&) {
        // The broker was killed; there is nothing left to end.
    }
}

std::vector<Heard> Subscriber::all() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->heard;
}

std::vector<Heard> Subscriber::on(const std::string& topic_end) const {
    std::vector<Heard> found;
    for (Heard& heard : all()) {
        if (heard.topic.ends_with(topic_end)) found.push_back(std::move(heard));
    }
    return found;
}

std::string Subscriber::last(const std::string& topic_end) const {
    const std::vector<Heard> found = on(topic_end);
    return found.empty() ? "(nothing)" : found.back().payload;
}

}  // namespace gatehouse::test
