// A real mosquitto on a free port of loopback, started, killed and stopped by its pid, and a
// subscriber that remembers what it heard. For tests; one thread but where said.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::test {

// A fresh folder, removed with what is in it.
class TempFolder {
  public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

void write_file(const std::string& path, const std::string& text);
// Runs a program to its end; throws unless it exits with 0.
void run_program(const std::vector<std::string>& arguments);
[[nodiscard]] pid_t start_program(const std::vector<std::string>& arguments);
// True as soon as the condition holds; false after the deadline.
[[nodiscard]] bool eventually(const std::function<bool()>& condition,
                              std::chrono::milliseconds limit = std::chrono::seconds(60));

class Broker {
  public:
    // Lines of configuration beside the listener; TLS lines apply to it.
    explicit Broker(std::vector<std::string> lines = {"allow_anonymous true"});
    ~Broker();
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;

    void start();      // returns once it accepts connections; state of a former life is gone
    void kill_hard();  // SIGKILL
    void pause();      // SIGSTOP: the sockets stay open and nothing is answered
    void go_on();
    [[nodiscard]] int port() const { return port_; }

  private:
    TempFolder folder_;
    std::vector<std::string> lines_;
    int port_ = 0;
    pid_t pid_ = 0;
};

struct Heard {
    std::string topic, payload;
    int qos = 0;
    bool retained = false;
};

// Subscribes to everything with QoS 1; the constructor returns after the broker has granted it.
class Subscriber {
  public:
    Subscriber(int port, const std::string& client_id, const std::string& username = {},
               const std::string& password = {});
    ~Subscriber();
    [[nodiscard]] std::vector<Heard> all() const;                             // any thread
    [[nodiscard]] std::vector<Heard> on(const std::string& topic_end) const;  // any thread
    // The last payload of a topic; "(nothing)" where none was heard.
    [[nodiscard]] std::string last(const std::string& topic_end) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::test
