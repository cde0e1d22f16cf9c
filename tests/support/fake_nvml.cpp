// NVML as a driver of two cards would answer: the second has no counter of energy.
// A card uses 7 J from one reading to the next, however long that takes: what is recorded then tells
// which two readings it lies between, on a busy machine too. Names, types and codes of errors are
// those of nvml.h, which nvidia-ml-py calls by name.
#include <atomic>
#include <cstring>

namespace {
enum Code { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6 };
constexpr unsigned long long MILLIJOULES_A_READING = 7000;
const char *const NAMES[] = {"GPU-aaaaaaaa-0000-0000-0000-000000000000",
                             "GPU-bbbbbbbb-0000-0000-0000-000000000000"};
int opened = 0;
char cards[2];
std::atomic<unsigned long long> readings{0};
}  // namespace

extern "C" {
int nvmlInitWithFlags(unsigned) { return ++opened, SUCCESS; }
int nvmlShutdown() { return opened ? --opened, SUCCESS : UNINITIALIZED; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (!opened) return UNINITIALIZED;
    if (index > 1) return INVALID_ARGUMENT;
    *device = &cards[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    if (!opened) return UNINITIALIZED;
    for (unsigned index = 0; index < 2; ++index)
        if (!std::strcmp(uuid, NAMES[index])) return nvmlDeviceGetHandleByIndex_v2(index, device);
    return NOT_FOUND;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    if (!opened) return UNINITIALIZED;
    if (device == &cards[1]) return NOT_SUPPORTED;
    if (device != &cards[0]) return INVALID_ARGUMENT;
    *millijoules = ++readings * MILLIJOULES_A_READING;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    switch (code) {
        case UNINITIALIZED: return "Uninitialized";
        case INVALID_ARGUMENT: return "Invalid Argument";
        case NOT_SUPPORTED: return "Not Supported";
        case NOT_FOUND: return "Not Found";
    }
    return "Success";
}
}
