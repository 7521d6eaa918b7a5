// A process with a publisher in it, for the test that kills one: publisher_child PORT.
#include <unistd.h>

#include <cstdlib>

#include "daemon/mqtt/publisher.hpp"
#include "tests/integration/mqtt/fake_source.hpp"

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    gatehouse::test::FakeSource source;
    const gatehouse::test::RealClock clock;
    const gatehouse::test::EastZone zone;
    gatehouse::test::SeededRandom random(1);
    gatehouse::mqtt::Publisher publisher(gatehouse::test::settings_for(std::atoi(argv[1])), source,
                                         zone, clock, random);
    publisher.start();
    for (;;) ::pause();
}
