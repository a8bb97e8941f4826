//! The report as one page of HTML.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "drawn for the page, which comes next")
)]
pub(crate) mod pictures;
