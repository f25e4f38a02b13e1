//! Pages of a column, with a limit to what is unpacked at a time and a look at what their heads promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::errors::{ParquetError, Result};

/// Unpacked bytes after which a reader has to ask for more pages by [`Budget::renew`].
const BUDGET: usize = 1 << 20;

/// Bytes that pages may still have.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Lets some more pages pass, one at least.
    pub(super) fn renew(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// See the module.
pub(super) struct Pages<P> {
    inner: P,
    budget: Budget,
    /// Rows of the row group.
    rows: usize,
}

impl<P: PageReader> Pages<P> {
    pub(super) fn new(inner: P, budget: Budget, rows: usize) -> Self {
        Self { inner, budget, rows }
    }

    fn check(&self, page: Page) -> Result<Page> {
        let (count, most) = match &page {
            // A value takes a byte at least; it may be one that no row has.
            Page::DictionaryPage { buf, num_values, .. } => (*num_values, buf.len() + 1),
            Page::DataPage { num_values, .. } | Page::DataPageV2 { num_values, .. } => {
                (*num_values, self.rows)
            }
        };
        if count as usize > most {
            return Err(ParquetError::General(format!(
                "a page of {} bytes tells of {count} values",
                page.buffer().len()
            )));
        }
        Ok(page)
    }
}

impl<P: PageReader> Iterator for Pages<P> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<P: PageReader> PageReader for Pages<P> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        // The column reader takes it for the end, and asks again when it is called again.
        if self.budget.0.load(Ordering::Relaxed) >= BUDGET {
            return Ok(None);
        }
        let Some(page) = self.inner.get_next_page()? else { return Ok(None) };
        let page = self.check(page)?;
        if !page.is_dictionary_page() {
            self.budget.0.fetch_add(page.buffer().len(), Ordering::Relaxed);
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        match self.inner.take_deferred_dictionary()? {
            Some(page) => self.check(page).map(Some),
            None => Ok(None),
        }
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}
