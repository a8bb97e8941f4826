//! Frame by frame parity with Wireshark: under construction.
