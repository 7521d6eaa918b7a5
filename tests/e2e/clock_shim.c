/* Another wall clock for a program under test: loaded before libc, it adds to CLOCK_REALTIME the
   milliseconds that stand, as a 64-bit number, in the file that GATEHOUSE_TEST_CLOCK names. A test
   may write that number while the program runs. Other clocks stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int (*clock_function)(clockid_t, struct timespec*);

static clock_function real_clock;
static const volatile int64_t* offset_ms;

__attribute__((constructor)) static void open_clock(void) {
    *(void**)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    const char* path = getenv("GATEHOUSE_TEST_CLOCK");
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void* page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) offset_ms = page;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    if (real_clock == NULL) *(void**)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    const int result = real_clock(clock, now);
    if (result != 0 || clock != CLOCK_REALTIME || offset_ms == NULL) return result;
    const int64_t ns = now->tv_nsec + (*offset_ms % 1000) * 1000000;
    now->tv_sec += *offset_ms / 1000 + (ns >= 1000000000 ? 1 : 0);
    now->tv_nsec = ns % 1000000000;
    return 0;
}
